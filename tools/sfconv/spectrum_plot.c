/* SPDX-License-Identifier: BSD-2-Clause */
#include "spectrum_plot.h"

#include "gnuplot.h"
#include "safe_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void draw(FILE *script, const struct histogram *h, const char *label)
{
    const double step = (h->high - h->low) / SPECTRA_BINS;
    fprintf(script, "set xlabel '%s (mean %.4g, variance %.4g)'\n", label, h->mean, h->variance);
    fputs("plot '-' with histeps lw 2 lc rgb '#0072b2' notitle\n", script);
    for (int64_t bin = 0; bin < SPECTRA_BINS; bin++) {
        fprintf(script, "%.9g %.9g\n", h->low + step * ((double)bin + 0.5),
                histogram_density(h, bin));
    }
    fputs("e\n", script);
}

static bool write_script(int descriptor, const char *path, const struct spectra *spectra,
                         struct image_error *error)
{
    FILE *script = fdopen(descriptor, "w");
    if (!script) {
        close(descriptor);
        return image_fail(error, "%s: %s", path, strerror(errno));
    }
    const struct histogram weights =
        histogram_of_weights(spectra, histogram_reach_of_weights(spectra));
    const struct histogram values =
        histogram_of_values(spectra, histogram_reach_of_values(spectra));
    fputs("set terminal svg size 960,400 dynamic noenhanced background '#ffffff' font "
          "'sans-serif,13'\nset multiplot layout 1,2\nset grid\nset ylabel 'density'\nset yrange "
          "[0:*]\n",
          script);
    draw(script, &weights, "weight of a factor");
    draw(script, &values, "singular value of a factor");
    fputs("unset multiplot\n", script);
    const bool written = !ferror(script);
    const int reason = errno;
    return (fclose(script) == 0 && written) || image_fail(error, "%s: %s", path, strerror(reason));
}

bool spectrum_plot(const struct spectra *spectra, const char *path, struct image_error *error)
{
    const char *folder = getenv("TMPDIR");
    char script[512];
    struct safe_file file;
    snprintf(script, sizeof script, "%.400s/sfconv-XXXXXX", folder && *folder ? folder : "/tmp");
    if (!safe_file_open(&file, path, error)) {
        return false;
    }
    const int descriptor = mkstemp(script);
    bool ok = descriptor >= 0 || image_fail(error, "%s: %s", script, strerror(errno));
    ok = ok && write_script(descriptor, script, spectra, error) &&
         gnuplot_draw(script, file.temporary, path, error);
    if (descriptor >= 0) {
        unlink(script);
    }
    return safe_file_close(&file, ok, error);
}
