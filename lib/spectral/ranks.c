/* SPDX-License-Identifier: BSD-2-Clause */
#include "ranks.h"

#include "error.h"
#include "memory.h"
#include "sizes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int64_t sfi_rank_of_ratio(int64_t out, int64_t in, int64_t kh, int64_t kw, double ratio,
                          int64_t least)
{
    const int64_t most = sfi_min(in * kw, out * kh);
    const double wanted = rint(ratio * (double)sfi_min(in, out));
    assert(least >= 1);
    if (!(wanted < (double)most)) {
        return most;
    }
    return sfi_min(sfi_max((int64_t)wanted, least), most);
}

/* The state of a choice: ranks so far, their cost, and each layer's total energy. */
struct choice {
    int64_t count;
    const sfi_rank_layer *layers;
    int64_t *ranks;
    double *totals;
    int64_t cost;
};

static size_t choice_bytes(int64_t count)
{
    return (size_t)count * (sizeof(int64_t) + sizeof(double));
}

static sfconv_status choice_create(sfconv_context *context, struct choice *choice, int64_t count,
                                   const sfi_rank_layer *layers)
{
    *choice = (struct choice){.count = count, .layers = layers};
    choice->ranks = sfi_alloc(context, choice_bytes(count));
    if (!choice->ranks) {
        return sfi_fail_memory(context, "ranks", choice_bytes(count));
    }
    choice->totals = (double *)(choice->ranks + count);
    for (int64_t l = 0; l < count; l++) {
        const sfi_rank_layer *layer = &layers[l];
        int64_t most;
        int64_t cost = 0;
        double total = 0;
        assert(layer->least >= 1 && layer->least <= layer->most && layer->cost > 0);
        for (int64_t i = layer->most - 1; i >= 0; i--) {
            total += layer->values[i] * layer->values[i];
        }
        if (!isfinite(total)) {
            return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                            "layer %lld: the energy of its singular values is %g", (long long)l,
                            total);
        }
        if (!sfi_mul(&most, layer->most, layer->cost) ||
            !sfi_mul(&cost, layer->least, layer->cost) ||
            !sfi_add(&choice->cost, choice->cost, cost)) {
            return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "layer %lld: its cost overflows",
                            (long long)l);
        }
        choice->ranks[l] = layer->least;
        choice->totals[l] = total;
    }
    return SFCONV_OK;
}

static double energy_of(const struct choice *choice)
{
    double sum = 0;
    for (int64_t l = 0; l < choice->count; l++) {
        const double *values = choice->layers[l].values;
        double kept = 0;
        for (int64_t i = choice->ranks[l] - 1; i >= 0; i--) {
            kept += values[i] * values[i];
        }
        sum += choice->totals[l] > 0 ? kept / choice->totals[l] : 1;
    }
    return sum / (double)choice->count;
}

/* Adds the best unit of rank that costs at most `room`; false when none is worth it. */
static bool buy_best(struct choice *choice, int64_t room)
{
    int64_t best = -1;
    double most = 0;
    for (int64_t l = 0; l < choice->count; l++) {
        const sfi_rank_layer *layer = &choice->layers[l];
        const int64_t rank = choice->ranks[l];
        if (rank == layer->most || layer->cost > room) {
            continue;
        }
        const double energy = layer->values[rank] * layer->values[rank];
        const double worth = energy > 0 ? energy / choice->totals[l] / (double)layer->cost : 0;
        if (worth > most) {
            most = worth;
            best = l;
        }
    }
    if (best < 0) {
        return false;
    }
    choice->ranks[best]++;
    choice->cost += choice->layers[best].cost;
    return true;
}

static void hand_over(const struct choice *choice, int64_t *ranks, sfi_rank_choice *result)
{
    memcpy(ranks, choice->ranks, (size_t)choice->count * sizeof(int64_t));
    *result = (sfi_rank_choice){choice->cost, energy_of(choice)};
}

sfconv_status sfi_ranks_for_cost(sfconv_context *context, int64_t count,
                                 const sfi_rank_layer *layers, int64_t budget, int64_t *ranks,
                                 sfi_rank_choice *result)
{
    struct choice choice;
    sfconv_status status = choice_create(context, &choice, count, layers);
    if (status == SFCONV_OK && choice.cost > budget) {
        status = sfi_fail(context, SFCONV_ERROR_SHAPE,
                          "budget: expected at least %lld (every rank at its least), got %lld",
                          (long long)choice.cost, (long long)budget);
    }
    if (status == SFCONV_OK) {
        while (buy_best(&choice, budget - choice.cost)) {
        }
        hand_over(&choice, ranks, result);
    }
    sfi_free(context, choice.ranks, choice_bytes(count));
    return status;
}

sfconv_status sfi_ranks_for_energy(sfconv_context *context, int64_t count,
                                   const sfi_rank_layer *layers, double energy, int64_t *ranks,
                                   sfi_rank_choice *result)
{
    struct choice choice;
    if (!(energy > 0 && energy <= 1)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "energy: expected more than 0 and at most 1, got %g", energy);
    }
    const sfconv_status status = choice_create(context, &choice, count, layers);
    if (status == SFCONV_OK) {
        while (energy_of(&choice) < energy && buy_best(&choice, INT64_MAX)) {
        }
        hand_over(&choice, ranks, result);
    }
    sfi_free(context, choice.ranks, choice_bytes(count));
    return status;
}
