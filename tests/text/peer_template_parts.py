#!/usr/bin/env python3
"""Parts of templates, one by one, against Python's jinja2: the same text, or both refuse.

    HONE_BUILD=build/test peer_template_parts.py

The last line is "N passed, N failed"; the exit status is 1 if any failed."""

import random
import sys

try:
    from template_library import ours, theirs
except ImportError:
    sys.exit(77)

VARIABLES = {"s": "  Hello, Wörld!\tit's \"me\"  ", "e": "", "n": 7, "m": -3, "f": 2.5, "t": True, "o": None, "l": [3, 1, 2], "w": ["b", "A", "c", "a"],
             "d": {"b": 1, "A": [1, "x"], "items": 5}, "u": "日本語😀", "p": [{"n": "x", "v": 2, "q": {"z": 1}}, {"n": "y", "v": 1}, {"n": "X"}],
             "lines": "a\n\nb c\n  d\n", "j": {"k": "é\u2028\"\\\n\x01", "z": [1.0, 1e20, 1e-7, None, True, {}], "y": []}}  # fmt: skip
EXPRESSIONS = """
1 + 2 * 3 ** 2|7 // 2|-7 // 2|7 % 3|-7 % 3|7 / 2|2 ** -1|7.5 // 2|-7.5 % 2|1e3|1.5e-7|10000000000000000.0|0.1 + 0.2|1_000|n - -m|+n|-f|'a' ~ 1 ~ none ~ true ~ 1.0
'a' + 'b'|'a' * 3|3 * 'ab'|[1] + [2]|[1, 2] * 2|(1, 2) + (3,)|(1,)|()|[]|{}|{'a': 1, 2: 'b', none: [1.5]}|'a' + 1|1 + none|[] + 1|'5' % 2|true + 1|n * t
1 < 2 < 3|1 < 3 < 2|1 == 1.0|true == 1|'a' < 'b'|'a' < 1|[1, 2] < [1, 3]|none < 1|1 in l|'b' in w|'ell' in s|'z' not in d|'b' in d|1 in 'a'|1 in n|e in s|q in l|l in [l]
t and 0|0 or 'x'|not l|not e|t and n or m|none or q|'a' if t else 'b'|'a' if not t|n if n > 5 else m if m else f|(1 if e) is defined
s.strip()|s.lstrip() ~ '|'|s.rstrip('e" ')|s.strip(' H')|s.upper()|s.lower()|s.title()|s.capitalize()|u.upper()|'straße'.upper()|s.split()|s.split(',')|s.split(None, 1)|s.split('l', 1)|'a,b,,c'.split(',')|''.split(',')|' '.split()
'a-b-c'.rsplit('-', 1)|lines.splitlines()|s.replace('l', 'L')|s.replace('l', 'L', 1)|'abc'.replace('', '-')|s.startswith('  H')|s.endswith(('x', ' '))|s.find('W')|u.find('語')|s.find('zz')|s.count('l')|s.index('zz')|'-'.join(w)|'-'.join(l)|u[0]|u[-1]|u[1:3]|u[::-1]|s[2:7]|s[-4:]|u[10]|s[:0]
'{} and {}'.format(1, 'x')|'{0}{1}{0}'.format('a', 'b')|'{a}'.format(a=n)|'{:.2f}'.format(f)|'{{}}'.format()|'{}'.format()|'a'.isdigit()|'12'.isdigit()|'ab'.isalpha()|'abc'.removeprefix('a')|'abc'.removesuffix('bc')|s.nothing()|s.nothing
l[0]|l[-1]|l[5]|l[1:]|l[::-1]|l[::2]|l[5:]|l[-2:]|l[:-1]|l['x']|l.x|l.0|l.index(1)|l.count(1)|l.append(4)|l.pop()|l.sort()|(1, 2)[0]|d.b|d['b']|d.q|d['q']|d.q.r|d.get('b')|d.get('q')|d.get('q', 9)|d.items() | list|d.keys() | list|d.values() | list|d['items']|d.pop('b')|d.update({})|o.x|o['x']|n.x|q|q.x|q['x']|q[0]|q()|n()|s()|d.__class__|s._x
l | length|d | length|s | length|u | count|q | length|n | length|o | length|l | first|l | last|[] | first|w | sort|w | sort(reverse=true)|w | sort(case_sensitive=true)|l | sort|l | reverse | list|s | reverse|l | sum|l | min|l | max|w | max|[] | min|l | join|l | join('-')|w | join(', ')|o | join|q | join('x')|p | join(',', attribute='n')
p | map(attribute='n') | list|p | map(attribute='v') | list|p | map(attribute='v', default=0) | list|p | map(attribute='q.z') | list|w | map('upper') | join|w | map('replace', 'a', 'z') | list|none | map('upper') | list|l | select('odd') | list|l | select('gt', 1) | list|l | reject('equalto', 1) | list|p | selectattr('v') | list|p | selectattr('v', 'eq', 2) | list|p | rejectattr('v', 'defined') | list|p | selectattr('v', 'defined') | map(attribute='n') | join|l | select | list|[0, 1, '', 'a'] | select | list|l | map('nothing') | list
p | selectattr('n', 'in', ['x']) | list|w | unique | list|w | unique(true) | list|p | sort(attribute='n') | map(attribute='n') | list|p | sum(attribute='q')|l | map('string') | list|l | list|s.strip() | list|d | list|n | list|l | map('int')|(l | map('string')) is iterable|l | select('odd') | length
s | trim|s | upper|n | upper|s | title|'hello wORLD' | capitalize|s | lower|s | replace('l', 'x')|n | string ~ 'a'|f | int|'12' | int|'x' | int|'x' | int(5)|'3.7' | int|' 8 ' | int|none | int|'1.5' | float|'x' | float|n | float|m | abs|2.567 | round(1)|2.5 | round|3.5 | round|2.1 | round(0, 'ceil')|lines | indent|lines | indent(2, true)|lines | indent('>> ')|s | default('x')|q | default('x')|q | d('x')|e | default('x')|e | default('x', true)|o | default('x', true)|q | default|q.x | default('y')
j | tojson|j | tojson(indent=2)|l | tojson(indent=4)|[] | tojson(indent=2)|{} | tojson(indent=2)|d | tojson(sort_keys=true)|u | tojson|u | tojson(ensure_ascii=true)|j | tojson(separators=(',', ':'))|q | tojson|f | tojson|t | tojson|d | dictsort|d | dictsort(true)|d | dictsort(by='value')|d | items | list|q | items | list|l | items | list|(1, 'a') | tojson|{1: 2, true: 3, none: 4} | tojson
q is defined|s is defined|d.q is undefined|o is none|s is string|n is number|t is number|t is boolean|t is integer|n is integer|f is float|d is mapping|l is mapping|l is sequence|s is sequence|d is sequence|n is iterable|s is iterable|q is iterable|t is true|n is true|f is false|3 is odd|3 is even|4 is divisibleby 2|n is divisibleby(7)|n is eq 7|n is not eq(7)|n is lt 8|n is gt 8|n is ge(7)|n is sameas 7|1 is in l|'a' is in s|s is lower|'abc' is lower|'ABC' is upper|range is callable|s is callable|x is not defined|not x is defined|n is defined and n > 3|n is nothing
range(3) | list|range(1, 4) | list|range(5, 0, -2) | list|range(0) | list|range(1, 2, 3, 4)|range('a')|dict(a=1, b='x')|dict({'a': 1}, b=2)|namespace(a=1).a|namespace(a=1).b|strftime_now('%Y-%m-%d')|raise_exception('x' ~ n)|[1, 'a', none, true, 1.5, (1,), {'x': "it's"}]|['\\n\\t\\\\', 'é', '\\u2028', '"', "'", '\\x07', "'\\""]|lipsum|1.0|100000.0|1e16|1e-5|123456789.123|[1.0, -0.0]|'\\u00e9\\x41\\101'|'a' 'b' 'c'|none|true|s|safe|('a' | safe) + '<b>'|'x' ~ ('<' | safe)
"""
STATEMENTS = [
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ loop.nextitem }}>{{ loop.previtem is defined }}{% endfor %}", "{% for x in [] %}a{% else %}b{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{% else %}none{% endfor %}", "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in u %}{{ c }}-{% endfor %}", "{% for x in n %}{% endfor %}",
    "{% for x in q %}{{ x }}{% endfor %}ok", "{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% set x = 1 %}{% for y in l %}{{ x }}{% set x = y %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=1) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}",
    "{% set d.x = 1 %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set x %}a{{ n }}b{% endset %}{{ x }}", "{% set x | upper | trim %} a{{ n }}b {% endset %}[{{ x }}]",
    "{% if x %}1{% elif n == 7 %}2{% else %}3{% endif %}", "{% if n > 5 %}{% set z = 1 %}{% endif %}{{ z }}", "{% if not n %}{% set z = 1 %}{% endif %}{{ z is defined }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(b=5, a=4) }}|{{ m() }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}[{{ caller() }}{{ a }}]{% endmacro %}{% call m(1) %}in{% endcall %}",
    "{% macro m() %}{{ caller(7) }}{% endmacro %}{% call(x) m() %}got {{ x }}{% endcall %}", "{% set g = 1 %}{% macro m() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ m() }}",
    "{% macro m(x) %}{% if x %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(4) }}", "{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% filter upper | replace('A', 'b') %}a{{ s }}{% endfilter %}", "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}",
    "{% raw %}{{ x }}{% if %}{% endraw %}y", "{%- raw -%} a {%- endraw -%} b", "a{# c #}b", "a\n{# c #}\nb", "a\n  {# c #}  \nb", "a {#- c -#} b", "{% generation %}x{{ n }}{% endgeneration %}y",
    "  {% if t %}\n  a\n  {% endif %}\n  b", "x {% if t %} y\n{% endif %}z", "  {%+ if t %}a{% endif +%}\nb", "a\n\n{%- if t %}\n\nb{%- endif %}\n", "{{ n }}\nb", "{{ n -}}\n  b", "a  {{- n }}", "\n\na\n\n",
    "{% if t %}{% if e %}{% endif %}{% endif %}", "{% for x in p recursive %}{{ x.n }}{% if x.q %}({{ loop([{'n': 'in'}]) }}){% endif %}{{ loop.depth }}{% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}", "{% for x in w %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{{ '}}' }}{{ {'a': {'b': 1}}['a']['b'] }}{{ \"%}\" }}", "a\r\nb\rc\n", "{% set x = 'a\nb' %}{{ x }}", "{{ n", "{% if %}", "{% endif %}", "{% for x %}", "{% set %}", "{% set 1 = 2 %}", "{{ }}", "{{ 1 + }}", "{{ (1 }}", "{{ 'a }}",
    "{{ f(a=1, 2) }}", "{% macro m(a=1, b) %}{% endmacro %}", "{% nothing %}", "{{ a.1b }}", "{{ n | }}", "{{ n is }}", "{{ [1, 2,] }}{{ {'a': 1,} }}", "{{ not }}", "{% break %}", "{{ n;m }}", "{{ a ? b }}",
]  # fmt: skip


def made(count, draw):
    """Expressions put together at random."""
    atoms = ["1", "0", "2.5", "'ab'", "''", "none", "true", "false", "n", "m", "f", "s", "e", "o", "l", "w", "d", "q", "[1, 'a']", "{'b': 2}", "u"]
    for _ in range(count):

        def some(depth):
            if depth == 0 or draw.random() < 0.25:
                return draw.choice(atoms)
            a, b = some(depth - 1), some(depth - 1)
            return draw.choice([f"({a} + {b})", f"({a} ~ {b})", f"({a} and {b})", f"({a} or {b})", f"(not {a})", f"({a} == {b})", f"({a} in {b})", f"({a} if {b} else {a})",
                                f"({a} * {b})", f"({a} < {b})", f"({a})[{b}]", f"({a} | string)", f"({a} | length)", f"({a} | default({b}))", f"({a} is string)", f"({a} | list)",
                                f"({a} | tojson)", f"({a} | string)[:{draw.choice('012nmo')}]", f"({a} - {b})", f"({draw.choice('nmf')} % {draw.choice('nmf')})", f"({a} | first)", f"({a}).b"])  # fmt: skip

        yield some(3)


def shown_by_address(text):
    return text is not None and (" object at 0x" in text or "<" in text and "0x" in text)


def main():
    draw = random.Random(3)
    texts = [e for line in EXPRESSIONS.strip().split("\n") for e in split_bars(line)]
    templates = ["{{ " + e + " }}" for e in texts + list(made(1500, draw))] + STATEMENTS
    passed = failed = 0
    for template in templates:
        (mine, wrong), (wanted, error) = ours(template, VARIABLES), theirs(template, VARIABLES)
        good = mine == wanted or (mine is None and shown_by_address(wanted))
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"FAILED: {template!r}: {wrong or mine!r} / {error or wanted!r}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


def split_bars(line):
    """Bars between expressions have no spaces around them."""
    parts, at = [], 0
    for i, c in enumerate(line):
        if c == "|" and line[i - 1] != " " and line[i + 1 : i + 2] != " " and line[:i].count("'") % 2 == 0:
            parts.append(line[at:i])
            at = i + 1
    return parts + [line[at:]]


sys.exit(main())
