/* SPDX-License-Identifier: BSD-2-Clause */
#include "compression.h"
#include "console.h"
#include "parse_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct wish {
    double ratio; /* 0: by budget */
    int64_t min_rank;
    int32_t budget_kind;
    double budget;
    const char *text;
};

/* params=N, macs=N or energy=X */
static bool parse_budget(struct wish *wish, struct arguments *arguments, struct image_error *error)
{
    static const struct {
        const char *name;
        int32_t kind;
    } kinds[] = {{"params=", SFCONV_BUDGET_PARAMETERS},
                 {"macs=", SFCONV_BUDGET_MACS},
                 {"energy=", SFCONV_BUDGET_ENERGY}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const size_t length = strlen(kinds[i].name);
        if (strncmp(wish->text, kinds[i].name, length) == 0) {
            wish->budget_kind = kinds[i].kind;
            arguments->usage =
                !parse_number(&wish->budget, wish->text + length, false, "budget", error);
        }
    }
    if (wish->budget_kind == 0) {
        return usage_fail(arguments, error, "--budget: '%s' is not params=N, macs=N or energy=X",
                          wish->text);
    }
    if (!arguments->usage && wish->budget_kind == SFCONV_BUDGET_ENERGY && wish->budget > 1.0) {
        return usage_fail(arguments, error, "--budget: energy=%g is more than all of it, 1",
                          wish->budget);
    }
    return !arguments->usage;
}

static bool parse_wish(struct wish *wish, struct arguments *arguments, struct image_error *error)
{
    const char *rho = argument_text(arguments, "rho", NULL);
    const char *budget = argument_text(arguments, "budget", NULL);
    *wish = (struct wish){.min_rank = 1, .text = rho ? rho : budget};
    if (!*argument_text(arguments, "output", "")) {
        return usage_fail(arguments, error, "expected --output FILE for the compressed model");
    }
    if ((rho != NULL) == (budget != NULL)) {
        return usage_fail(arguments, error, "expected either --rho or --budget");
    }
    if (budget && argument_given(arguments, "min-rank")) {
        return usage_fail(arguments, error, "--min-rank goes with --rho, not with --budget");
    }
    return rho ? argument_number(arguments, "rho", false, &wish->ratio, error) &&
                     argument_integer(arguments, "min-rank", 1, 65536, &wish->min_rank, error)
               : parse_budget(wish, arguments, error);
}

static void print_layers(const struct compression *c)
{
    printf("%-40s %11s %6s %16s\n", "layer", "rank before", "now", "relative error");
    for (int64_t i = 0; i < c->count; i++) {
        printf("%-40s %11" PRId64 " %6" PRId64 " %16.6f\n", c->layers[i].name, c->layers[i].full,
               c->ranks[i], c->layers[i].error);
    }
}

static bool print_costs(const struct compression *c, struct image_error *error)
{
    const sfconv_net *const nets[] = {c->file->net, c->net};
    const sfconv_shape shape = model_file_shape(c->file);
    printf("\n%-8s %14s %18s %18s\n", "", "parameters", "MACs/image", "FLOPs/image");
    for (int i = 0; i < 2; i++) {
        sfconv_cost cost = SFCONV_COST_INIT;
        char texts[3][32];
        if (!model_file_check(c->file, sfconv_net_cost(nets[i], &shape, 1, &cost), error)) {
            return false;
        }
        printf("%-8s %14s %18s %18s\n", i == 0 ? "before" : "now",
               console_grouped(cost.parameters, texts[0], sizeof texts[0]),
               console_grouped(cost.macs, texts[1], sizeof texts[1]),
               console_grouped(cost.flops, texts[2], sizeof texts[2]));
    }
    return true;
}

/* The texts of the source hold for the result, but for the method. */
static bool save(const struct compression *c, const char *path, const char *wish,
                 struct image_error *error)
{
    sfconv_metadata *texts = c->file->metadata;
    const char *method = sfconv_method_name(c->desc.method);
    return model_file_check(c->file, sfconv_metadata_set(texts, "method", method), error) &&
           model_file_check(c->file, sfconv_metadata_set(texts, "compressed.to", wish), error) &&
           experiment_check(c->file->context, sfconv_net_save(c->net, path, texts), "saving",
                            error);
}

static bool compress(const struct model_file *file, const struct wish *wish, const char *path,
                     struct image_error *error)
{
    struct compression c;
    if (!compression_open(&c, file, error)) {
        return false;
    }
    const bool ranked =
        wish->ratio > 0.0 ? compression_rank_by_ratio(&c, wish->ratio, wish->min_rank, error)
                          : compression_rank_by_budget(&c, wish->budget_kind, wish->budget, error);
    bool ok = ranked && compression_apply(&c, error);
    if (ok) {
        print_layers(&c);
        ok = print_costs(&c, error) && save(&c, path, wish->text, error);
    }
    compression_close(&c);
    return ok;
}

static bool run_compress(struct arguments *arguments, struct image_error *error)
{
    struct wish wish;
    struct model_file file;
    if (!parse_wish(&wish, arguments, error) || !model_file_open(&file, arguments, error)) {
        return false;
    }
    const bool ok = compress(&file, &wish, argument_text(arguments, "output", NULL), error);
    model_file_close(&file);
    return ok;
}

static const struct command_option options[] = {
    {"output", "FILE", "the compressed model; must be given"},
    {"rho", "RATIO", "rank = max(min-rank, round(rho * min(in, out))); 1/32 is a number too"},
    {"min-rank", "N", "floor of the rank; usually 1"},
    {"budget", "KIND=N", "params=N or macs=N of the whole network, or energy=X of each layer"},
    MODEL_FILE_OPTION_SIZE,
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_compress = {
    .name = "compress",
    .operands = "MODEL",
    .summary = "Decomposes a dense model, or cuts the ranks of a factorized one.",
    .details =
        "Each layer becomes the nearest one of its new rank in Frobenius norm; the relative "
        "error is that of its weight.\nBudgets spread ranks by energy per cost; energy=0.9 keeps "
        "nine tenths of the sum of squared singular\nvalues of each layer. MACs are those of an "
        "image of --size (otherwise that of the training, or 304x304).",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run_compress,
};
