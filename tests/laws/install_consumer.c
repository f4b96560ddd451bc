/* SPDX-License-Identifier: BSD-2-Clause */
/* A program outside the tree: knows the installed headers and the shared library, nothing else. */
#include <sfconv/status.h>

#include <stdlib.h>
#include <string.h>

int main(void)
{
    return strcmp(sfconv_status_name(SFCONV_OK), "SFCONV_OK") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
