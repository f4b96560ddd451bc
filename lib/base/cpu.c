/* SPDX-License-Identifier: BSD-2-Clause */
#include "cpu.h"

#include "sfconv/context.h"

#include <string.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include <unistd.h>

static const struct {
    const char *name;
    int32_t isa;
} isa_names[] = {
    {"reference", SFCONV_ISA_REFERENCE},
    {"avx2", SFCONV_ISA_AVX2},
    {"avx512", SFCONV_ISA_AVX512},
    {"neon", SFCONV_ISA_NEON},
};

bool sfi_cpu_has(int32_t isa)
{
    switch (isa) {
    case SFCONV_ISA_REFERENCE:
        return true;
#if defined(__x86_64__)
    case SFCONV_ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case SFCONV_ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#elif defined(__aarch64__)
    case SFCONV_ISA_NEON:
        return true;
#endif
    default:
        return false;
    }
}

int32_t sfi_usable_processors(void)
{
#if defined(__linux__)
    cpu_set_t usable;
    if (sched_getaffinity(0, sizeof usable, &usable) == 0) {
        return CPU_COUNT(&usable);
    }
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 1 ? (int32_t)online : 1;
}

int32_t sfi_current_processor(void)
{
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

void sfi_leave_processors(const int32_t *occupied, int32_t count)
{
#if defined(__linux__)
    cpu_set_t usable;
    if (count < 1 || sched_getaffinity(0, sizeof usable, &usable) != 0) {
        return;
    }
    cpu_set_t others = usable;
    for (int32_t i = 0; i < count; i++) {
        if (occupied[i] >= 0 && (i == 0 || CPU_COUNT(&others) > 1)) {
            CPU_CLR((size_t)occupied[i], &others);
        }
    }
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) {
        sched_setaffinity(0, sizeof usable, &usable);
    }
#else
    (void)occupied;
    (void)count;
#endif
}

const char *sfi_isa_name(int32_t isa)
{
    for (size_t i = 0; i < sizeof isa_names / sizeof isa_names[0]; i++) {
        if (isa_names[i].isa == isa) {
            return isa_names[i].name;
        }
    }
    return NULL;
}

int32_t sfi_isa_from_name(const char *name)
{
    for (size_t i = 0; i < sizeof isa_names / sizeof isa_names[0]; i++) {
        if (strcmp(isa_names[i].name, name) == 0) {
            return isa_names[i].isa;
        }
    }
    return -1;
}
