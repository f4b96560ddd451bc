/* SPDX-License-Identifier: BSD-2-Clause */
#include "model_file.h"
#include "safe_file.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct {
    int32_t number;
    const char *name;
} factors[] = {{SFCONV_FACTOR_P, "P"}, {SFCONV_FACTOR_Q, "Q"}};
#define FACTORS 2

/* One factor of one layer. */
struct factor {
    const char *layer;
    const char *name;
    sfconv_spectrum measures;
    double *values;
};

static void print_row(const struct factor *f)
{
    printf("%-36s %-6s %5" PRId64 " %10.4g %10.4g %9.2f %10.4g %8.4f\n", f->layer, f->name,
           f->measures.count, f->measures.largest, f->measures.smallest, f->measures.effective_rank,
           f->measures.condition, f->measures.kl);
}

static void write_rows(FILE *stream, const struct factor *f)
{
    for (int64_t i = 0; i < f->measures.count; i++) {
        fprintf(stream, "%s,%s,%" PRId64 ",%" PRId64 ",%.9g,%.9g,%.9g,%.9g\n", f->layer, f->name,
                f->measures.count, i + 1, f->values[i], f->measures.effective_rank,
                f->measures.condition, f->measures.kl);
    }
}

static bool show_factor(const struct model_file *file, const sfconv_layer *layer, int32_t number,
                        struct factor *f, FILE *stream, struct image_error *error)
{
    const int64_t rank = sfconv_sfconv2d_rank(layer);
    int64_t count = 0;
    f->measures = (sfconv_spectrum)SFCONV_SPECTRUM_INIT;
    f->values = calloc((size_t)rank, sizeof *f->values);
    bool ok = f->values || image_fail(error, "%s: out of memory", file->path);
    ok = ok && model_file_check(file, sfconv_layer_spectrum(layer, number, &f->measures), error) &&
         model_file_check(
             file, sfconv_layer_singular_values(layer, number, f->values, rank, &count), error);
    if (ok) {
        print_row(f);
    }
    if (ok && stream) {
        write_rows(stream, f);
    }
    free(f->values);
    return ok;
}

static bool show_layer(const struct model_file *file, int32_t node, FILE *stream,
                       struct image_error *error)
{
    sfconv_layer *layer = sfconv_net_node_layer(file->net, node);
    bool ok = model_file_check(file, sfconv_layer_svd_update(layer, SFCONV_SVD_EXACT), error);
    for (int i = 0; ok && i < FACTORS; i++) {
        struct factor f = {.layer = sfconv_net_node_name(file->net, node), .name = factors[i].name};
        ok = show_factor(file, layer, factors[i].number, &f, stream, error);
    }
    return ok;
}

static bool show_all(const struct model_file *file, FILE *stream, struct image_error *error)
{
    bool any = false;
    printf("%-36s %-6s %5s %10s %10s %9s %10s %8s\n", "layer", "factor", "rank", "largest",
           "smallest", "effective", "condition", "KL");
    if (stream) {
        fprintf(stream, "layer,factor,rank,index,singular_value,effective_rank,condition,kl\n");
    }
    for (int32_t node = 0; node < sfconv_net_node_count(file->net); node++) {
        if (sfconv_sfconv2d_rank(sfconv_net_node_layer(file->net, node)) == 0) {
            continue;
        }
        any = true;
        if (!show_layer(file, node, stream, error)) {
            return false;
        }
    }
    return any || image_fail(error,
                             "%s: no factorized layer in it; sfconv compress makes a dense model "
                             "factorized",
                             file->path);
}

static bool run_spectrum(struct arguments *arguments, struct image_error *error)
{
    struct model_file file;
    struct safe_file csv = {0};
    const char *path = argument_text(arguments, "csv", NULL);
    if (!model_file_open(&file, arguments, error)) {
        return false;
    }
    bool ok = !path || safe_file_open(&csv, path, error);
    if (ok) {
        ok = show_all(&file, csv.stream, error);
        ok = path ? safe_file_close(&csv, ok, error) : ok;
    }
    model_file_close(&file);
    return ok;
}

static const struct command_option options[] = {
    {"csv", "FILE", "every singular value as a line of a CSV file"},
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_spectrum = {
    .name = "spectrum",
    .operands = "MODEL",
    .summary = "Shows how flat the singular values of each factorized layer are.",
    .details = "For the factors P and Q: largest and smallest singular value, effective rank "
               "(Roy and Vetterli,\n2007; 1 to the rank), condition number, and the KL divergence "
               "from the flat spectrum\n(0: flat; log of the rank: only one value).",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run_spectrum,
};
