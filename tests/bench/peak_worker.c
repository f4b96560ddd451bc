/* SPDX-License-Identifier: BSD-2-Clause */
/* `peak_worker THREADS` answers every line with `OK RATE`: million fused multiply-adds a second
 * that so many threads do in registers now, for a share of it in the run that is measured. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    char line[256];
    while (fgets(line, sizeof line, stdin) && line[0] != 'Q') {
        printf("OK %.1f\n", 1e-6 * machine_peak_of_threads(threads) / 2);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
