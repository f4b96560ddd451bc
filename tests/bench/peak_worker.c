/* SPDX-License-Identifier: BSD-2-Clause */
/* `peak_worker THREADS` answers every line with `OK RATE`: million fused multiply-adds a second
 * that so many threads could do in registers now, for a share of it in the run that is measured: by
 * the processor time of one, as other programs would lower a rate by the clock on the wall. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    char line[256];
    while (fgets(line, sizeof line, stdin) && line[0] != 'Q') {
        printf("OK %.1f\n", 1e-6 * threads * machine_peak() / 2);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
