/* For tests: carries out AMX's tile instructions where the CPU has none. It takes the trap of an unknown instruction,
 * does what the architecture says, and goes on behind it; what a CPU would refuse ends the process. */
#ifndef HONE_TESTS_AMX_H
#define HONE_TESTS_AMX_H

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_BYTES = 64 };

static struct amx {
    bool configured;
    int rows[AMX_TILES], bytes[AMX_TILES];
    uint8_t tile[AMX_TILES][AMX_ROWS][AMX_BYTES];
    long count; /* of instructions */
} amx;

/* An instruction of the form VEX C4, map 0F38. */
typedef struct amx_instruction {
    int prefix, opcode, mode, reg, rm, v;
    uint64_t address, stride; /* of an operand in memory */
    int length;
} amx_instruction;

static uint64_t amx_register(const ucontext_t *c, int number) {
    static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return (uint64_t)c->uc_mcontext.gregs[order[number]];
}

static void amx_memory_operand(const ucontext_t *c, const uint8_t *p, bool high_base, bool high_index,
                               amx_instruction *i) {
    int32_t displacement = 0;
    int base = i->rm;
    bool has_base = true;
    i->length = 5;
    if (i->rm == 4) { /* scale, index, base */
        int index = (p[5] >> 3 & 7) | high_index << 3;
        base = p[5] & 7;
        has_base = base != 5 || i->mode != 0;
        if (index != 4) i->stride = amx_register(c, index) << (p[5] >> 6);
        i->length++;
    } else if (i->rm == 5 && i->mode == 0) { /* from the next instruction */
        memcpy(&displacement, p + 5, 4);
        i->length += 4;
        i->address = (uint64_t)(uintptr_t)p + 9 + (uint64_t)(int64_t)displacement;
        return;
    }
    if (i->mode == 1) displacement = (int8_t)p[i->length++];
    if (i->mode == 2 || !has_base) {
        memcpy(&displacement, p + i->length, 4);
        i->length += 4;
    }
    i->address = (has_base ? amx_register(c, base | high_base << 3) : 0) + (uint64_t)(int64_t)displacement;
}

static bool amx_decode(const ucontext_t *c, amx_instruction *i) {
    const uint8_t *p = (const uint8_t *)(uintptr_t)c->uc_mcontext.gregs[REG_RIP];
    if (p[0] != 0xC4 || (p[1] & 0x1F) != 2 || (p[2] & 0x84) != 0) return false; /* map 2, W 0, 128 bits */
    *i = (amx_instruction){.prefix = p[2] & 3,
                           .opcode = p[3],
                           .mode = p[4] >> 6,
                           .reg = (p[4] >> 3 & 7) | (p[1] & 0x80 ? 0 : 8),
                           .rm = p[4] & 7,
                           .v = ~p[2] >> 3 & 15,
                           .length = 5};
    if (i->mode != 3) amx_memory_operand(c, p, !(p[1] & 0x20), !(p[1] & 0x40), i);
    return i->reg < AMX_TILES;
}

static bool amx_load_config(const uint8_t *m) {
    memset(&amx.tile, 0, sizeof amx.tile);
    if (m[0] != 1 || m[1] != 0) return false;
    for (int t = 0; t < AMX_TILES; t++) {
        uint16_t bytes;
        memcpy(&bytes, m + 16 + 2 * t, 2);
        if (bytes > AMX_BYTES || m[48 + t] > AMX_ROWS || (bytes == 0) != (m[48 + t] == 0)) return false;
        amx.bytes[t] = bytes;
        amx.rows[t] = m[48 + t];
    }
    return amx.configured = true;
}

/* Adds to an element of C, four bytes, what a row of A gives with column n of B. */
typedef void amx_dot_fn(uint8_t *c, const uint8_t *a, int a_bytes, const uint8_t (*b)[AMX_BYTES], int n);

static void amx_dot_u8s8(uint8_t *c, const uint8_t *a, int a_bytes, const uint8_t (*b)[AMX_BYTES], int n) {
    uint32_t sum;
    memcpy(&sum, c, 4);
    for (int k = 0; k < a_bytes; k++) sum += (uint32_t)(a[k] * (int8_t)b[k / 4][4 * n + k % 4]);
    memcpy(c, &sum, 4);
}

static float amx_bf16(const uint8_t *p) {
    uint8_t bytes[4] = {0, 0, p[0], p[1]};
    float x;
    memcpy(&x, bytes, 4);
    return x;
}

static void amx_dot_bf16(uint8_t *c, const uint8_t *a, int a_bytes, const uint8_t (*b)[AMX_BYTES], int n) {
    float sum, part[2] = {0, 0};
    memcpy(&sum, c, 4);
    for (int k = 0; k < a_bytes / 2; k++)
        part[k % 2] = fmaf(amx_bf16(a + 2 * k), amx_bf16(b[k / 2] + 4 * n + 2 * (k % 2)), part[k % 2]);
    sum += part[0] + part[1];
    memcpy(c, &sum, 4);
}

static bool amx_dot(int to, int a, int b, amx_dot_fn *dot) {
    if (to == a || a == b || to == b || a >= AMX_TILES || b >= AMX_TILES) return false;
    if (amx.rows[to] != amx.rows[a] || amx.bytes[a] != 4 * amx.rows[b] || amx.bytes[to] != amx.bytes[b])
        return false;
    for (int m = 0; m < amx.rows[to]; m++)
        for (int n = 0; n < amx.bytes[to] / 4; n++)
            dot(&amx.tile[to][m][4 * n], amx.tile[a][m], amx.bytes[a],
                (const uint8_t(*)[AMX_BYTES])amx.tile[b], n);
    return true;
}

static bool amx_carry_out(const amx_instruction *i) {
    enum { NONE, P66, PF3, PF2 };
    uint8_t *m = (uint8_t *)(uintptr_t)i->address;
    if (i->opcode == 0x49 && i->prefix == NONE && i->mode != 3 && i->reg == 0) return amx_load_config(m);
    if (!amx.configured) return false;
    if (i->opcode == 0x49 && i->prefix == NONE && i->mode == 3) return !(amx.configured = false);
    if (amx.rows[i->reg] == 0) return false;
    if (i->opcode == 0x49 && i->prefix == PF2 && i->mode == 3)
        return memset(amx.tile[i->reg], 0, sizeof amx.tile[i->reg]);
    if (i->opcode == 0x5E && i->prefix == P66 && i->mode == 3)
        return amx_dot(i->reg, i->rm, i->v, amx_dot_u8s8);
    if (i->opcode == 0x5C && i->prefix == PF3 && i->mode == 3)
        return amx_dot(i->reg, i->rm, i->v, amx_dot_bf16);
    if (i->opcode != 0x4B || i->mode == 3 || i->rm != 4 || (i->prefix != PF2 && i->prefix != PF3))
        return false;
    if (i->prefix == PF2) memset(amx.tile[i->reg], 0, sizeof amx.tile[i->reg]);
    for (int row = 0; row < amx.rows[i->reg]; row++, m += i->stride)
        if (i->prefix == PF2)
            memcpy(amx.tile[i->reg][row], m, (size_t)amx.bytes[i->reg]);
        else
            memcpy(m, amx.tile[i->reg][row], (size_t)amx.bytes[i->reg]);
    return true;
}

static void amx_trap(int signal_number, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    amx_instruction i;
    (void)info;
    if (amx_decode(c, &i) && amx_carry_out(&i)) {
        c->uc_mcontext.gregs[REG_RIP] += i.length;
        amx.count++;
    } else {
        signal(signal_number, SIG_DFL); /* the instruction traps once more */
    }
}

static struct sigaction amx_before;

/* From here to amx_end. */
static void amx_begin(void) {
    struct sigaction action = {.sa_sigaction = amx_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, &amx_before);
}

static void amx_end(void) {
    sigaction(SIGILL, &amx_before, NULL);
}

#endif
