/* SPDX-License-Identifier: BSD-2-Clause */
/* The printed plan of a run adds up: rows to totals, bytes to what the run asks for. */
#include "random_nets.h"

#define RANDOM_NETS 150

/* What is printed in rows "with" so many bytes and in lines of "memory". */
static const char *const kinds[] = {"rank maps", "mixed maps", "weights",
                                    "scratch",   "tape",       "gradients of rank maps"};
#define KINDS (sizeof kinds / sizeof *kinds)

typedef struct sums {
    long long computed[2];
    long long direct[2];
    long long maps;
    long long gradients;
    long long kinds[KINDS];
} sums;

/* The number in front of `end`. */
static long long number_before(const char *begin, const char *end)
{
    while (end > begin && end[-1] >= '0' && end[-1] <= '9') {
        end--;
    }
    return strtoll(end, NULL, 10);
}

/* "N MACs …, backward: … N MACs …" */
static void add_work(sums *found, const char *line)
{
    const char *at = strstr(line, " MACs");
    for (int pass = 0; at; pass++) {
        const char *next = strstr(at + 1, " MACs");
        const char *place = strstr(at, " in place of ");
        const long long computed = number_before(line, at);
        ck_assert_msg(pass < 2, "%s", line);
        found->computed[pass] += computed;
        found->direct[pass] +=
            place && (!next || place < next) ? strtoll(place + 13, NULL, 10) : computed;
        at = next;
    }
}

static void add_line(sums *found, const char *line)
{
    static const char with[] = "        with ";
    if (strncmp(line, with, strlen(with)) != 0) {
        const char *stored = strstr(line, " stored ");
        const char *gradient = strstr(line, "backward: gradient ");
        found->maps += stored ? strtoll(stored + 8, NULL, 10) : 0;
        found->gradients += gradient ? strtoll(gradient + 19, NULL, 10) : 0;
        add_work(found, line);
        return;
    }
    for (const char *item = line + strlen(with) - 2; item; item = strstr(item, ", ")) {
        bool known = false;
        item += 2;
        for (size_t kind = 0; kind < KINDS; kind++) {
            const size_t length = strlen(kinds[kind]);
            if (strncmp(item, kinds[kind], length) == 0) {
                found->kinds[kind] += strtoll(item + length, NULL, 10);
                known = true;
            }
        }
        ck_assert_msg(known, "%s", line);
    }
}

static sums sums_of_rows(const char *text)
{
    sums found = {0};
    for (const char *line = strchr(text, '\n') + 1; strncmp(line, "total ", 6) != 0;
         line = strchr(line, '\n') + 1) {
        char copy[512];
        const size_t length = strcspn(line, "\n");
        ck_assert_uint_lt(length, sizeof copy);
        memcpy(copy, line, length);
        copy[length] = '\0';
        add_line(&found, copy);
    }
    return found;
}

/* The bytes of a line of "memory", 0 where there is none. */
static long long memory_of(const char *text, const char *name)
{
    char begin[64];
    snprintf(begin, sizeof begin, "\nmemory %-26s ", name);
    const char *line = strstr(text, begin);
    return line ? strtoll(line + strlen(begin), NULL, 10) : 0;
}

static void check_work(const char *text, const sums *found, int pass)
{
    static const char *const passes[] = {"forward", "backward"};
    char line[160];
    snprintf(line, sizeof line, "\ntotal %-8s %18lld MACs computed, %18lld by direct sums\n",
             passes[pass], found->computed[pass], found->direct[pass]);
    ck_assert_msg(strstr(text, line) != NULL, "%s is not in\n%s", line, text);
}

static void check_sums(const char *text, bool training, int64_t bytes)
{
    const sums found = sums_of_rows(text);
    long long memory = memory_of(text, "padding of maps") + memory_of(text, "shared in turn") +
                       memory_of(text, "gradients of parameters") +
                       memory_of(text, "regularizers") + found.maps + found.gradients;
    check_work(text, &found, 0);
    if (training) {
        check_work(text, &found, 1);
    }
    ck_assert_msg(memory_of(text, "maps") == found.maps, "maps in\n%s", text);
    ck_assert_msg(memory_of(text, "gradients of maps") == found.gradients, "gradients in\n%s",
                  text);
    for (size_t kind = 0; kind < KINDS; kind++) {
        ck_assert_msg(memory_of(text, kinds[kind]) == found.kinds[kind], "%s in\n%s", kinds[kind],
                      text);
        memory += found.kinds[kind];
    }
    ck_assert_msg(memory_of(text, "total") == memory && memory == bytes,
                  "%lld of %lld bytes in\n%s", memory, (long long)bytes, text);
}

/* In training too, and there with the gradients of inputs. */
static void check_net(sfconv_net *net, const sfconv_shape *shapes, int32_t count, int32_t engine)
{
    for (int32_t mode = SFCONV_MODE_INFERENCE; mode <= SFCONV_MODE_TRAINING; mode++) {
        const bool training = mode == SFCONV_MODE_TRAINING;
        sfconv_run *run = new_run(net, mode);
        int64_t bytes;
        ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
        if (training) {
            ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
        }
        ck_assert_int_eq(sfconv_run_bytes(run, shapes, count, &bytes), SFCONV_OK);
        const sfconv_status status = sfconv_run_reshape(run, shapes, count, NULL, 0);
        ck_assert_int_eq(status, SFCONV_OK);
        check_sums(plan_of(run), training, bytes);
        sfconv_run_destroy(run);
    }
}

START_TEST(plans_of_random_nets_add_up)
{
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(RANDOM_NETS); seed++) {
        random_net made = seed % 2 ? new_random_stem_net(context, NETS_SEED + seed)
                                   : new_random_net(context, NETS_SEED + seed);
        check_net(made.net, made.shapes, made.input_count, _i);
        sfconv_net_destroy(made.net);
    }
    sfconv_context_destroy(context);
}
END_TEST

/* Both of inference. */
static void totals_of(int32_t convolution, int32_t model, int32_t method, long long totals[2])
{
    const sfconv_shape shape = {1, 3, 64, 64};
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, convolution);
    ck_assert_ptr_nonnull(context);
    sfconv_net *net = new_network(context, model, method, 1.0 / 8);
    check_net(net, &shape, 1, SFCONV_ENGINE_RANK_SPACE);
    sfconv_run *run = new_run_of(net, SFCONV_ENGINE_RANK_SPACE, &shape, 1);
    const sums found = sums_of_rows(plan_of(run));
    totals[0] = found.computed[0];
    totals[1] = found.direct[0];
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}

START_TEST(direct_sums_are_counted_as_a_run_of_direct_sums_computes_them)
{
    static const int32_t models[] = {SFCONV_MODEL_UNET, SFCONV_MODEL_RESNET18};
    static const int32_t methods[] = {SFCONV_METHOD_CONV, SFCONV_METHOD_SFCONV};
    long long chosen[2], direct[2];
    totals_of(SFCONV_CONVOLUTION_AUTO, models[_i / 2], methods[_i % 2], chosen);
    totals_of(SFCONV_CONVOLUTION_DIRECT, models[_i / 2], methods[_i % 2], direct);
    ck_assert_int_eq(direct[0], direct[1]);
    ck_assert_int_eq(chosen[1], direct[0]);
    ck_assert_int_lt(chosen[0], direct[0]);
}
END_TEST

START_TEST(frozen_weights_stand_beside_the_memory_of_the_run)
{
    const sfconv_shape shape = {1, 3, 64, 64};
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = new_network(context, SFCONV_MODEL_RESNET18, SFCONV_METHOD_CONV, 1);
    sfconv_run *run = new_run_of(net, SFCONV_ENGINE_RANK_SPACE, &shape, 1);
    int64_t bytes, frozen;
    ck_assert_ptr_null(strstr(plan_of(run), "frozen"));
    ck_assert_int_eq(sfconv_run_frozen_bytes(run, &frozen), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_freeze(run, NULL, 0), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_bytes(run, &shape, 1, &bytes), SFCONV_OK);
    ck_assert_int_eq(memory_of(plan_of(run), "beside: frozen weights"), frozen);
    check_sums(plan_of(run), false, bytes);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan sums");
    TCase *tests = tcase_create("plan sums");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, plans_of_random_nets_add_up, SFCONV_ENGINE_LAYERS,
                        SFCONV_ENGINE_RANK_SPACE + 1);
    tcase_add_loop_test(tests, direct_sums_are_counted_as_a_run_of_direct_sums_computes_them, 0, 4);
    tcase_add_test(tests, frozen_weights_stand_beside_the_memory_of_the_run);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
