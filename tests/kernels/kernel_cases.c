/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct entry {
    const char *kernel;
    void (*cases)(kernel_cases *cases);
} entries[] = {
#define SFK_KERNEL(name, parameters) {#name, name##_cases},
#include "kernel_list.inc"
#undef SFK_KERNEL
};

#define ALIGNMENT 64

static void *new_block(kernel_cases *cases, int64_t count, size_t element, bool holds_numbers)
{
    const size_t slack = SFK_SLACK * element;
    const size_t front = (slack + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t used = (size_t)count * element;
    const size_t size = (front + used + slack + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *data = aligned_alloc(ALIGNMENT, size);
    if (!data || cases->block_count == MAX_CASE_BLOCKS) {
        fprintf(stderr, "cases of %s: out of memory\n", cases->kernel);
        exit(EXIT_FAILURE);
    }
    memset(data, 0, size);
    cases->blocks[cases->block_count++] = (case_block){
        .data = data, .used = front + used, .size = size, .holds_numbers = holds_numbers};
    return data + front;
}

/* A number of no pattern between -1 and 1, its own for each place of each block. */
static double number(const kernel_cases *cases, int64_t i)
{
    uint64_t bits = (uint64_t)i * 0x9e3779b97f4a7c15u + (uint64_t)cases->block_count;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
    return (double)((bits ^ bits >> 31) >> 11) / (double)(UINT64_C(1) << 52) - 1.0;
}

float *case_floats(kernel_cases *cases, int64_t count)
{
    float *values = new_block(cases, count, sizeof *values, true);
    for (int64_t i = -SFK_SLACK; i < count + SFK_SLACK; i++) {
        values[i] = (float)number(cases, i);
    }
    return values;
}

double *case_doubles(kernel_cases *cases, int64_t count)
{
    double *values = new_block(cases, count, sizeof *values, true);
    for (int64_t i = -SFK_SLACK; i < count + SFK_SLACK; i++) {
        values[i] = number(cases, i);
    }
    return values;
}

float *case_scratch(kernel_cases *cases, int64_t count)
{
    return new_block(cases, count, sizeof(float), false);
}

uint8_t *case_bytes(kernel_cases *cases, int64_t count)
{
    return new_block(cases, count, 1, true);
}

const float **case_rows(kernel_cases *cases, const float *first, int64_t stride, int64_t count)
{
    const float **rows = new_block(cases, count, sizeof *rows, false);
    for (int64_t i = 0; i < count; i++) {
        rows[i] = first + i * stride;
    }
    return rows;
}

int64_t *case_steps(kernel_cases *cases, int64_t stride, int64_t count)
{
    int64_t *steps = new_block(cases, count, sizeof *steps, false);
    for (int64_t i = 0; i < count; i++) {
        steps[i] = i * stride;
    }
    return steps;
}

const sfk_pair_part *case_part(kernel_cases *cases, int64_t channels, int64_t taps)
{
    sfk_pair_part *part = new_block(cases, 1, sizeof *part, false);
    part->weights = case_rows(cases, case_floats(cases, channels * taps), taps, channels);
    part->depth = taps;
    part->scales = case_floats(cases, channels);
    return part;
}

void kernel_case_begin(kernel_cases *cases, const char *label, kernel_work work)
{
    cases->label = label;
    cases->work = work;
    cases->batches = -1;
}

bool kernel_case_more(kernel_cases *cases)
{
    cases->batches++;
    return cases->more(cases);
}

int64_t visit_kernel_cases(kernel_cases *cases, const char *pattern)
{
    int64_t visited = 0;
    for (int64_t i = 0; i < CASE_COUNT(entries); i++) {
        if (!strstr(entries[i].kernel, pattern)) {
            continue;
        }
        cases->kernel = entries[i].kernel;
        entries[i].cases(cases);
        visited++;
        while (cases->block_count > 0) {
            free(cases->blocks[--cases->block_count].data);
        }
    }
    return visited;
}
