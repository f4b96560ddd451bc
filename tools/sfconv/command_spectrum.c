/* SPDX-License-Identifier: BSD-2-Clause */
#include "fields.h"
#include "model_file.h"
#include "safe_file.h"
#include "spectra.h"
#include "spectrum_plot.h"

#include <inttypes.h>

static void print_table(const struct spectra *spectra)
{
    printf("%-36s %-6s %5s %10s %10s %9s %10s %8s\n", "layer", "factor", "rank", "largest",
           "smallest", "effective", "condition", "KL");
    for (int64_t i = 0; i < spectra->count; i++) {
        const struct spectra_factor *f = &spectra->factors[i];
        printf("%-36s %-6s %5" PRId64 " %10.4g %10.4g %9.2f %10.4g %8.4f\n", f->layer, f->name,
               f->measures.count, f->measures.largest, f->measures.smallest,
               f->measures.effective_rank, f->measures.condition, f->measures.kl);
    }
}

static void write_values(FILE *stream, const struct spectra *spectra)
{
    fprintf(stream, "layer,factor,rank,index,singular_value,effective_rank,condition,kl\n");
    for (int64_t i = 0; i < spectra->count; i++) {
        const struct spectra_factor *f = &spectra->factors[i];
        for (int64_t k = 0; k < f->measures.count; k++) {
            csv_text(stream, f->layer);
            fprintf(stream, ",%s,%" PRId64 ",%" PRId64 ",%.9g,%.9g,%.9g,%.9g\n", f->name,
                    f->measures.count, k + 1, f->values[k], f->measures.effective_rank,
                    f->measures.condition, f->measures.kl);
        }
    }
}

static void write_histograms(FILE *stream, const struct spectra *spectra)
{
    const struct histogram weights =
        histogram_of_weights(spectra, histogram_reach_of_weights(spectra));
    const struct histogram values =
        histogram_of_values(spectra, histogram_reach_of_values(spectra));
    fprintf(stream, HISTOGRAM_HEAD "\n");
    histogram_write(stream, "", "weight", &weights);
    histogram_write(stream, "", "singular_value", &values);
}

/* Writes the file of an option, where the option is given. */
static bool write_file(const struct arguments *arguments, const char *option,
                       void (*write)(FILE *, const struct spectra *), const struct spectra *spectra,
                       struct image_error *error)
{
    const char *path = argument_text(arguments, option, NULL);
    struct safe_file file;
    if (!path) {
        return true;
    }
    if (!safe_file_open(&file, path, error)) {
        return false;
    }
    write(file.stream, spectra);
    return safe_file_close(&file, true, error);
}

static bool run_spectrum(struct arguments *arguments, struct image_error *error)
{
    struct model_file file;
    struct spectra spectra;
    const char *plot = argument_text(arguments, "plot", NULL);
    if (!model_file_open(&file, arguments, error)) {
        return false;
    }
    bool ok = spectra_collect(&spectra, file.context, file.net, file.path, error);
    if (ok) {
        ok = (spectra.count > 0 ||
              image_fail(error,
                         "%s: no factorized layer in it; sfconv compress makes a dense model "
                         "factorized",
                         file.path)) &&
             write_file(arguments, "csv", write_values, &spectra, error) &&
             write_file(arguments, "histogram", write_histograms, &spectra, error) &&
             (!plot || spectrum_plot(&spectra, plot, error));
        if (ok) {
            print_table(&spectra);
        }
        spectra_destroy(&spectra);
    }
    model_file_close(&file);
    return ok;
}

static const struct command_option options[] = {
    {"csv", "FILE", "every singular value as a line of a CSV file"},
    {"histogram", "FILE", "how weights and singular values are distributed, as a CSV file"},
    {"plot", "FILE", "the same as a picture (SVG), drawn by gnuplot"},
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_spectrum = {
    .name = "spectrum",
    .operands = "MODEL",
    .summary = "Shows how flat the singular values of each factorized layer are.",
    .details = "For the factors P and Q: largest and smallest singular value, effective rank "
               "(Roy and Vetterli,\n2007; 1 to the rank), condition number, and the KL divergence "
               "from the flat spectrum\n(0: flat; log of the rank: only one value). --histogram "
               "counts the weights and the singular\n"
               "values of all factors in equal bins.",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run_spectrum,
};
