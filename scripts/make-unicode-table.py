#!/usr/bin/env python3
"""Writes src/base/unicode_table.h: the general categories of Unicode, as this Python's unicodedata has them."""
import pathlib
import unicodedata

CATEGORIES = "Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs".split()

runs = []
for c in range(0x110000):
    category = CATEGORIES.index(unicodedata.category(chr(c)))
    if not runs or runs[-1][0] != category:
        runs.append([category, 0])
    runs[-1][1] += 1

data = []
for category, length in runs:
    while length > 127:
        data.append(length & 127 | 128)
        length >>= 7
    data += [length, category]

lines = [""]
for byte in data:
    if len(lines[-1]) + len(str(byte)) > 108:
        lines.append("")
    lines[-1] += f"{byte},"

text = f"""/* Made by scripts/make-unicode-table.py of Unicode {unicodedata.unidata_version}. Runs of code points from 0 on that have one general
 * category: length (7 bits a byte, the low ones first, the high bit saying that more follow), category. */
#ifndef HONE_BASE_UNICODE_TABLE_H
#define HONE_BASE_UNICODE_TABLE_H

#include <stdint.h>

static const char unicode_categories[][3] = {{{", ".join(f'"{c}"' for c in CATEGORIES)}}};

/* clang-format off */
static const uint8_t unicode_runs[] = {{
{chr(10).join(lines)}
}};
/* clang-format on */

#endif
"""
(pathlib.Path(__file__).parent.parent / "src/base/unicode_table.h").write_text(text)
