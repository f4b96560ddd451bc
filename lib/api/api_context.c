/* SPDX-License-Identifier: BSD-2-Clause */
#include "arguments.h"
#include "cpu.h"
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISA_VARIABLE "SFCONV_ISA"
#define CONVOLUTION_VARIABLE "SFCONV_CONVOLUTION"

/* By SFCONV_CONVOLUTION_…. */
static const char *const convolution_names[] = {"auto", "direct", "winograd"};
#define CONVOLUTION_COUNT ((int32_t)(sizeof convolution_names / sizeof convolution_names[0]))

/* There is no context yet that could keep the reason, so it goes to the log alone. */
static sfconv_status refuse(const sfconv_context_desc *desc, sfconv_status status,
                            const char *reason)
{
    if (desc->log) {
        desc->log(desc->log_user, SFCONV_LOG_ERROR, reason);
    }
    return status;
}

/* "avx512, avx2 and reference": what runs here, the fastest first. */
#define ISA_LIST_CAPACITY 64
static void list_isas(char text[ISA_LIST_CAPACITY])
{
    int length = 0;
    for (int32_t isa = sfk_best_isa(SFCONV_ISA_BEST); isa > 0; isa--) {
        if (sfk_table_for(isa)) {
            const char *between = length == 0 ? "" : isa > SFCONV_ISA_REFERENCE ? ", " : " and ";
            length += snprintf(text + length, (size_t)(ISA_LIST_CAPACITY - length), "%s%s", between,
                               sfi_isa_name(isa));
        }
    }
}

static sfconv_status refuse_isa(const sfconv_context_desc *desc)
{
    char known[ISA_LIST_CAPACITY];
    char reason[SFI_ERROR_CAPACITY];
    list_isas(known);
    snprintf(reason, sizeof reason,
             "sfconv_context_create: isa is %s, which is not available on this machine or in this "
             "build; there are %s",
             sfi_isa_name(desc->isa), known);
    return refuse(desc, SFCONV_ERROR_UNSUPPORTED, reason);
}

static sfconv_status check_desc(const sfconv_context_desc *desc)
{
    if (!desc->allocate != !desc->release) {
        return refuse(desc, SFCONV_ERROR_ARGUMENT,
                      "sfconv_context_create: allocate and release go together, got one alone");
    }
    if (desc->workers < 0 || desc->workers > SFI_MAX_WORKERS) {
        return refuse(desc, SFCONV_ERROR_ARGUMENT,
                      "sfconv_context_create: workers is out of range, expected 0 to 256");
    }
    if (desc->convolution < 0 || desc->convolution >= CONVOLUTION_COUNT) {
        return refuse(desc, SFCONV_ERROR_ARGUMENT,
                      "sfconv_context_create: convolution is no SFCONV_CONVOLUTION_ number");
    }
    if (desc->isa == SFCONV_ISA_BEST) {
        return SFCONV_OK;
    }
    if (!sfi_isa_name(desc->isa)) {
        return refuse(desc, SFCONV_ERROR_ARGUMENT,
                      "sfconv_context_create: isa is no SFCONV_ISA_ number");
    }
    if (!sfk_table_for(desc->isa)) {
        return refuse_isa(desc);
    }
    return SFCONV_OK;
}

/* The instruction set to use: that of the descriptor, lowered by the environment where it can be
 * followed. */
static int32_t choose_isa(int32_t asked, const char *variable)
{
    const int32_t best = asked == SFCONV_ISA_BEST ? sfk_best_isa(SFCONV_ISA_BEST) : asked;
    const int32_t wanted = variable ? sfi_isa_from_name(variable) : -1;
    return wanted > 0 && wanted < best && sfk_table_for(wanted) ? wanted : best;
}

static void warn_of_isa(sfconv_context *context, const char *variable)
{
    char known[ISA_LIST_CAPACITY];
    const int32_t wanted = variable && *variable ? sfi_isa_from_name(variable) : 0;
    if (wanted < 0) {
        sfi_warn(context,
                 ISA_VARIABLE "=%s is no name of an instruction set (reference, avx2, avx512, "
                              "neon); %s is used",
                 variable, sfi_isa_name(context->isa));
    } else if (wanted > 0 && !sfk_table_for(wanted)) {
        list_isas(known);
        sfi_warn(context,
                 ISA_VARIABLE "=%s is not available on this machine or in this build, which has "
                              "%s; %s is used",
                 variable, known, sfi_isa_name(context->isa));
    }
}

/* The convolution that the environment asks for, or that of the descriptor; -1: no such name. */
static int32_t choose_convolution(int32_t asked, const char *variable)
{
    if (!variable || !*variable) {
        return asked;
    }
    for (int32_t i = 0; i < CONVOLUTION_COUNT; i++) {
        if (strcmp(convolution_names[i], variable) == 0) {
            return i;
        }
    }
    return -1;
}

sfconv_status sfconv_context_create(sfconv_context **context, const sfconv_context_desc *desc)
{
    sfconv_context_desc known = SFCONV_CONTEXT_DESC_INIT;
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    *context = NULL;
    sfconv_status status = sfi_take_desc(NULL, __func__, &known, sizeof known, desc);
    if (status < 0 || (status = check_desc(&known)) < 0) {
        return status;
    }
    const char *variable = getenv(ISA_VARIABLE);
    const int32_t isa = choose_isa(known.isa, variable);
    const char *convolution_variable = getenv(CONVOLUTION_VARIABLE);
    const int32_t convolution = choose_convolution(known.convolution, convolution_variable);
    known.convolution = convolution < 0 ? known.convolution : convolution;
    status = sfi_context_create(context, &known, sfk_table_for(isa), isa);
    if (status < 0) {
        return status;
    }
    warn_of_isa(*context, variable);
    if (convolution < 0) {
        sfi_warn(*context,
                 CONVOLUTION_VARIABLE "=%s is no name of an algorithm (auto, direct, winograd); "
                                      "%s is used",
                 convolution_variable, convolution_names[known.convolution]);
    }
    return SFCONV_OK;
}

void sfconv_context_destroy(sfconv_context *context)
{
    if (context) {
        sfi_context_release(context);
    }
}

const char *sfconv_context_last_error(const sfconv_context *context)
{
    return context ? context->error : "";
}

size_t sfconv_context_copy_last_error(sfconv_context *context, char *buffer, size_t capacity)
{
    char text[SFI_ERROR_CAPACITY] = "";
    if (context) {
        pthread_mutex_lock(&context->error_lock);
        memcpy(text, context->error, sizeof text);
        pthread_mutex_unlock(&context->error_lock);
    }
    const size_t length = strlen(text);
    if (buffer && capacity > 0) {
        const size_t copied = length < capacity ? length : capacity - 1;
        memcpy(buffer, text, copied);
        buffer[copied] = '\0';
    }
    return length;
}

const char *sfconv_context_warning(const sfconv_context *context)
{
    return context ? context->warning : "";
}

int32_t sfconv_context_isa(const sfconv_context *context)
{
    return context ? context->isa : 0;
}

int32_t sfconv_context_workers(const sfconv_context *context)
{
    return context ? context->workers : 0;
}
