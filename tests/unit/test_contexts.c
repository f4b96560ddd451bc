/* SPDX-License-Identifier: BSD-2-Clause */
/* What creating a context refuses, and what the environment may change about it. */
#include "support.h"

#include "cpu.h"
#include "ctx.h"
#include "kernels.h"

#include "sfconv/sfconv.h"

#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static sfconv_context *context;
static char logged[1024];
static int32_t logged_level;

static void keep_log(void *user, int32_t level, const char *text)
{
    (void)user;
    logged_level = level;
    snprintf(logged, sizeof logged, "%s", text);
}

static void open_context(void)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    unsetenv("SFCONV_ISA");
    desc.log = keep_log;
    ck_assert_int_eq(sfconv_context_create(&context, &desc), SFCONV_OK);
    logged[0] = '\0';
}

static void close_context(void)
{
    sfconv_context_destroy(context);
}

START_TEST(contexts_refuse_settings_out_of_range)
{
    sfconv_context_desc good = SFCONV_CONTEXT_DESC_INIT;
    const struct {
        sfconv_context_desc desc;
        sfconv_status status;
    } cases[] = {
        {{.struct_size = sizeof good, .workers = -1}, SFCONV_ERROR_ARGUMENT},
        {{.struct_size = sizeof good, .workers = 257}, SFCONV_ERROR_ARGUMENT},
        {{.struct_size = sizeof good, .isa = 5}, SFCONV_ERROR_ARGUMENT},
        {{.struct_size = sizeof good, .isa = -1}, SFCONV_ERROR_ARGUMENT},
        {{.struct_size = sizeof good, .convolution = 3}, SFCONV_ERROR_ARGUMENT},
        {{.struct_size = sizeof good, .convolution = -1}, SFCONV_ERROR_ARGUMENT},
        {{.struct_size = 0}, SFCONV_ERROR_ARGUMENT},
        {{.struct_size = sizeof good, .allocate = (sfconv_allocate_fn)(void (*)(void))abort},
         SFCONV_ERROR_ARGUMENT},
        {{.struct_size = sizeof good, .release = (sfconv_release_fn)(void (*)(void))abort},
         SFCONV_ERROR_ARGUMENT},
#if defined(__x86_64__)
        {{.struct_size = sizeof good, .isa = SFCONV_ISA_NEON}, SFCONV_ERROR_UNSUPPORTED},
#endif
    };
    ck_assert_int_eq(sfconv_context_create(NULL, &good), SFCONV_ERROR_ARGUMENT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sfconv_context_desc desc = cases[i].desc;
        sfconv_context *made = context;
        desc.log = keep_log;
        logged[0] = '\0';
        ck_assert_int_eq(sfconv_context_create(&made, &desc), cases[i].status);
        ck_assert_ptr_null(made);
        ck_assert(desc.struct_size == 0 || strstr(logged, "sfconv_context_create"));
    }
}
END_TEST

START_TEST(descriptors_may_be_shorter_or_longer_as_long_as_the_tail_is_zero)
{
    struct {
        sfconv_context_desc desc;
        int64_t tail;
    } later = {SFCONV_CONTEXT_DESC_INIT, 0};
    sfconv_context *made;
    later.desc.struct_size = sizeof later;
    ck_assert_int_eq(sfconv_context_create(&made, &later.desc), SFCONV_OK);
    sfconv_context_destroy(made);
    later.tail = 1;
    ck_assert_int_eq(sfconv_context_create(&made, &later.desc), SFCONV_ERROR_ARGUMENT);
    sfconv_context_desc earlier = SFCONV_CONTEXT_DESC_INIT;
    earlier.struct_size = offsetof(sfconv_context_desc, workers);
    earlier.workers = -5;
    ck_assert_int_eq(sfconv_context_create(&made, &earlier), SFCONV_OK);
    ck_assert_int_eq(sfconv_context_workers(made), 1);
    sfconv_context_destroy(made);
}
END_TEST

START_TEST(the_environment_lowers_the_instruction_set_and_never_fails)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *made;
    desc.log = keep_log;
    const int32_t best = sfconv_context_isa(context);
    const struct {
        const char *value;
        int32_t isa;
        const char *warning;
    } cases[] = {
        {"reference", SFCONV_ISA_REFERENCE, ""},
        {"", best, ""},
        {"sse9", best, "SFCONV_ISA=sse9 is no name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("SFCONV_ISA", cases[i].value, 1);
        logged[0] = '\0';
        ck_assert_int_eq(sfconv_context_create(&made, &desc), SFCONV_OK);
        ck_assert_int_eq(sfconv_context_isa(made), cases[i].isa);
        ck_assert_int_eq(strncmp(logged, cases[i].warning, strlen(cases[i].warning)), 0);
        ck_assert_str_eq(sfconv_context_warning(made), logged);
        ck_assert(!logged[0] || logged_level == SFCONV_LOG_WARNING);
        sfconv_context_destroy(made);
    }
    setenv("SFCONV_ISA", sfi_isa_name(best), 1);
    desc.isa = SFCONV_ISA_REFERENCE;
    ck_assert_int_eq(sfconv_context_create(&made, &desc), SFCONV_OK);
    ck_assert_int_eq(sfconv_context_isa(made), SFCONV_ISA_REFERENCE);
    sfconv_context_destroy(made);
    unsetenv("SFCONV_ISA");
}
END_TEST

/* Every instruction set that can be used, and no other behind "has" or "there are". */
static void check_names_what_is_here(const char *text)
{
    static const int32_t all[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                  SFCONV_ISA_NEON};
    const char *list = strstr(text, "has ");
    list = list ? list : strstr(text, "there are ");
    ck_assert_msg(list, "%s", text);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ck_assert_msg((strstr(list, sfi_isa_name(all[i])) != NULL) == sfi_cpu_has(all[i]), "%s",
                      text);
    }
}

/* Every machine lacks some: no processor has both AVX2 and NEON. */
START_TEST(an_instruction_set_that_the_machine_lacks_is_refused_with_a_reason_and_the_best_one_used)
{
    static const int32_t all[] = {SFCONV_ISA_AVX2, SFCONV_ISA_AVX512, SFCONV_ISA_NEON};
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *made;
    char reason[128];
    int refused = 0;
    desc.log = keep_log;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const char *name = sfi_isa_name(all[i]);
        const bool lacks = !sfi_cpu_has(all[i]);
        const int32_t lower = sfk_best_isa(all[i]);
        setenv("SFCONV_ISA", name, 1);
        logged[0] = '\0';
        ck_assert_int_eq(sfconv_context_create(&made, &desc), SFCONV_OK);
        ck_assert_int_eq(sfconv_context_isa(made), lacks ? sfk_best_isa(SFCONV_ISA_BEST) : lower);
        snprintf(reason, sizeof reason, "SFCONV_ISA=%s is not available on this machine", name);
        ck_assert_msg((strstr(logged, reason) != NULL) == lacks, "%s: logged \"%s\"", name, logged);
        ck_assert(!lacks || logged_level == SFCONV_LOG_WARNING);
        if (lacks) {
            check_names_what_is_here(logged);
            snprintf(reason, sizeof reason, "; %s is used", sfi_isa_name(sfconv_context_isa(made)));
            ck_assert_ptr_nonnull(strstr(logged, reason));
        }
        sfconv_context_destroy(made);
        /* Without a log the reason can be asked for. */
        ck_assert_int_eq(sfconv_context_create(&made, NULL), SFCONV_OK);
        ck_assert_str_eq(sfconv_context_warning(made), logged);
        ck_assert_str_eq(sfconv_context_last_error(made), "");
        sfconv_context_destroy(made);
        unsetenv("SFCONV_ISA");
        /* Asked for by the program it is an error, as nothing stands behind the wish. */
        desc.isa = all[i];
        logged[0] = '\0';
        ck_assert_int_eq(sfconv_context_create(&made, &desc),
                         lacks ? SFCONV_ERROR_UNSUPPORTED : SFCONV_OK);
        if (lacks) {
            snprintf(reason, sizeof reason, "sfconv_context_create: isa is %s, which is not", name);
            ck_assert_ptr_nonnull(strstr(logged, reason));
            check_names_what_is_here(logged);
        }
        sfconv_context_destroy(made);
        desc.isa = SFCONV_ISA_BEST;
        refused += lacks;
    }
    ck_assert_int_gt(refused, 0);
}
END_TEST

START_TEST(the_environment_chooses_the_convolution_and_never_fails)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *made;
    const struct {
        const char *value;
        int32_t convolution;
        const char *warning;
    } cases[] = {
        {"direct", SFCONV_CONVOLUTION_DIRECT, ""},
        {"winograd", SFCONV_CONVOLUTION_WINOGRAD, ""},
        {"auto", SFCONV_CONVOLUTION_AUTO, ""},
        {"", SFCONV_CONVOLUTION_WINOGRAD, ""},
        {"fft", SFCONV_CONVOLUTION_WINOGRAD, "SFCONV_CONVOLUTION=fft is no name"},
    };
    desc.log = keep_log;
    desc.convolution = SFCONV_CONVOLUTION_WINOGRAD;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("SFCONV_CONVOLUTION", cases[i].value, 1);
        logged[0] = '\0';
        ck_assert_int_eq(sfconv_context_create(&made, &desc), SFCONV_OK);
        ck_assert_int_eq(made->convolution, cases[i].convolution);
        ck_assert_int_eq(strncmp(logged, cases[i].warning, strlen(cases[i].warning)), 0);
        ck_assert(!logged[0] || logged_level == SFCONV_LOG_WARNING);
        sfconv_context_destroy(made);
    }
    unsetenv("SFCONV_CONVOLUTION");
}
END_TEST

START_TEST(all_warnings_of_a_context_are_lines_of_one_text)
{
    sfconv_context *made;
    char long_name[2000];
    ck_assert_str_eq(sfconv_context_warning(NULL), "");
    ck_assert_str_eq(sfconv_context_warning(context), "");
    setenv("SFCONV_ISA", "sse9", 1);
    setenv("SFCONV_CONVOLUTION", "fft", 1);
    ck_assert_int_eq(sfconv_context_create(&made, NULL), SFCONV_OK);
    const char *warning = sfconv_context_warning(made);
    ck_assert_int_eq(strncmp(warning, "SFCONV_ISA=sse9 is no name", 26), 0);
    ck_assert_ptr_nonnull(strstr(warning, "\nSFCONV_CONVOLUTION=fft is no name"));
    sfconv_context_destroy(made);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    setenv("SFCONV_ISA", long_name, 1);
    ck_assert_int_eq(sfconv_context_create(&made, NULL), SFCONV_OK);
    ck_assert_uint_eq(strlen(sfconv_context_warning(made)), SFI_ERROR_CAPACITY - 1);
    sfconv_context_destroy(made);
    unsetenv("SFCONV_ISA");
    unsetenv("SFCONV_CONVOLUTION");
}
END_TEST

START_TEST(the_last_error_is_copied_cut_to_the_room_there_is)
{
    sfconv_layer *layer;
    char text[9] = "12345678";
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, NULL), SFCONV_ERROR_ARGUMENT);
    const size_t length = strlen("sfconv_conv2d_create: desc is NULL");
    ck_assert_str_eq(sfconv_context_last_error(context), "sfconv_conv2d_create: desc is NULL");
    ck_assert_uint_eq(sfconv_context_copy_last_error(context, text, 7), length);
    ck_assert_str_eq(text, "sfconv");
    ck_assert_int_eq(text[7], '8');
    ck_assert_uint_eq(sfconv_context_copy_last_error(context, NULL, 100), length);
    ck_assert_uint_eq(sfconv_context_copy_last_error(context, text, 0), length);
    ck_assert_str_eq(text, "sfconv");
}
END_TEST

/* A context with workers, and a run of it that is ready to go. */
struct family {
    sfconv_context *context;
    sfconv_net *net;
    sfconv_run *run;
    sfconv_view output;
};

static void found(struct family *family, int32_t workers)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    const sfconv_model_desc model = SFCONV_MODEL_DESC_INIT;
    const sfconv_shape shape = {1, 3, 32, 32};
    desc.workers = workers;
    ck_assert_int_eq(sfconv_context_create(&family->context, &desc), SFCONV_OK);
    ck_assert_int_eq(sfconv_model_create(&family->net, family->context, &model), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_create(&family->run, family->net, SFCONV_MODE_INFERENCE),
                     SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(family->run, &shape, 1, NULL, 0), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_output(family->run, 0, &family->output), SFCONV_OK);
}

static void dissolve(struct family *family)
{
    sfconv_run_destroy(family->run);
    sfconv_net_destroy(family->net);
    sfconv_context_destroy(family->context);
}

/* The image, whose memory forward uses again, is zero each time. */
static sfconv_status answer(struct family *family)
{
    sfconv_view input;
    const sfconv_status status = sfconv_run_input(family->run, 0, &input);
    memset(input.data, 0, (size_t)sfconv_view_count(&input) * sizeof(float));
    return status < 0 ? status : sfconv_run_forward(family->run);
}

/* The end of a process made by fork(), which tells by its status whether all went well. */
_Noreturn static void live_as_child(struct family *family, const float *expected, size_t bytes)
{
    signal(SIGALRM, SIG_DFL);
    alarm(20);
    bool same = true;
    for (int i = 0; i < 3; i++) {
        same = same && answer(family) == SFCONV_OK &&
               memcmp(family->output.data, expected, bytes) == 0;
    }
    dissolve(family);
    found(family, 2);
    same = same && answer(family) == SFCONV_OK;
    dissolve(family);
    _exit(same ? 0 : 1);
}

/* With more workers than cores, many of them are about to sleep when the process is copied. */
START_TEST(a_child_process_computes_with_what_its_parent_made_and_destroys_it)
{
    const int32_t workers[] = {1, 2, 16};
    for (int w = 0; w < 3; w++) {
        struct family family;
        found(&family, workers[w]);
        for (int i = 0; i < rounds_of(60); i++) {
            float expected[32 * 32];
            int status = -1;
            ck_assert_int_eq(answer(&family), SFCONV_OK);
            memcpy(expected, family.output.data, sizeof expected);
            const pid_t child = fork();
            if (child == 0) {
                live_as_child(&family, expected, sizeof expected);
            }
            ck_assert_int_eq(waitpid(child, &status, 0), child);
            ck_assert_int_eq(status, 0);
        }
        dissolve(&family);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contexts");
    TCase *tests = tcase_create("contexts");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, contexts_refuse_settings_out_of_range);
    tcase_add_test(tests, descriptors_may_be_shorter_or_longer_as_long_as_the_tail_is_zero);
    tcase_add_test(tests, the_environment_lowers_the_instruction_set_and_never_fails);
    tcase_add_test(
        tests,
        an_instruction_set_that_the_machine_lacks_is_refused_with_a_reason_and_the_best_one_used);
    tcase_add_test(tests, the_environment_chooses_the_convolution_and_never_fails);
    tcase_add_test(tests, all_warnings_of_a_context_are_lines_of_one_text);
    tcase_add_test(tests, the_last_error_is_copied_cut_to_the_room_there_is);
    tcase_add_test(tests, a_child_process_computes_with_what_its_parent_made_and_destroys_it);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
