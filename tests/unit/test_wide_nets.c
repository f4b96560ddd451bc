/* SPDX-License-Identifier: BSD-2-Clause */
/* Nets of the ranks and channels that are in use, inference and training: the numbers of the layer
 * path; the same bits whoever computes them and whatever the run did before. */
#include "trials.h"
#include "who_computes.h"

static const int32_t convolutions[] = {SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_WINOGRAD,
                                       SFCONV_CONVOLUTION_DIRECT};

/* The first is what the others are held against; each second one has memory that held other bytes.
 * The second shows what threads show by chance: tasks that write the same or wait for each other.
 */
static const setting settings[] = {
    {"1 worker", 1, SFCONV_ISA_BEST, false},
    {"5 workers of the host, reversed", 5, SFCONV_ISA_BEST, true},
    {"2 workers", 2, SFCONV_ISA_BEST, false},
    {"3 workers", 3, SFCONV_ISA_BEST, false},
    {"5 workers", 5, SFCONV_ISA_BEST, false},
    {"16 workers", 16, SFCONV_ISA_BEST, false},
    {"reference", 1, SFCONV_ISA_REFERENCE, false},
    {"AVX2", 1, SFCONV_ISA_AVX2, false},
    {"AVX-512", 1, SFCONV_ISA_AVX512, false},
    {"NEON", 1, SFCONV_ISA_NEON, false},
};

#define SETTING_COUNT ((int)(sizeof settings / sizeof *settings))
#define FEW_SETTINGS 2

static int32_t convolution_of(uint64_t seed)
{
    return convolutions[seed % 3];
}

static void check_inference(sfconv_context *context, uint64_t seed)
{
    check_random_inference(context, new_random_wide_net, seed);
}

static void check_training(sfconv_context *context, uint64_t seed)
{
    char name[32];
    trial made = open_random(context, new_random_wide_net, seed);
    snprintf(name, sizeof name, "random net %d", (int)seed);
    made.name = name;
    check_but_for_kinks(&made, 5, 2);
    close_trial(&made);
}

static const struct kind {
    const char *name;
    void (*check)(sfconv_context *context, uint64_t seed);
    uint64_t (*bits)(sfconv_context *context, net_maker make, uint64_t seed, int rest);
} kinds[] = {{"inference", check_inference, inference_bits},
             {"training", check_training, training_bits}};

START_TEST(wide_nets_agree_with_the_layer_path)
{
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(60); seed++) {
        sfconv_context *context = context_of(&settings[0], convolution_of(seed));
        kinds[_i].check(context, seed);
        sfconv_context_destroy(context);
    }
}
END_TEST

static void check_bits(const struct kind *kind, uint64_t seed, int count)
{
    uint64_t expected = 0;
    for (int i = 0; i < count; i++) {
        sfconv_context *context = context_of(&settings[i], convolution_of(seed));
        if (context) {
            const int rest = i % 2 ? 0xff : 0;
            const uint64_t bits = kind->bits(context, new_random_wide_net, seed, rest);
            expected = i == 0 ? bits : expected;
            ck_assert_msg(bits == expected, "%s of random net %d differs: %s", kind->name,
                          (int)seed, settings[i].name);
            sfconv_context_destroy(context);
        }
    }
}

START_TEST(wide_nets_have_the_same_bits_whoever_computes_them)
{
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(220); seed++) {
        check_bits(&kinds[_i], seed, seed % 10 ? FEW_SETTINGS : SETTING_COUNT);
    }
}
END_TEST

/* Another batch, and, where the net takes them, images of other height and width. Statistics of one
 * value are refused. */
static bool resize(sfconv_run *run, const random_net *made)
{
    sfconv_shape shapes[RANDOM_INPUTS];
    sfconv_status status = SFCONV_ERROR_SHAPE;
    for (int64_t more = 4; status != SFCONV_OK && more >= 0; more -= 4) {
        for (int32_t i = 0; i < made->input_count; i++) {
            shapes[i] = made->shapes[i];
            shapes[i].batch = 5 - shapes[i].batch;
            shapes[i].height += more;
            shapes[i].width += 2 * more;
        }
        status = sfconv_run_reshape(run, shapes, made->input_count, NULL, 0);
    }
    return status == SFCONV_OK;
}

/* Bits of a forward or a step of training, by a run that had another size before, or, where
 * `fresh`, of one that begins where such a run has ended. */
static uint64_t bits_behind_another_size(sfconv_context *context, uint64_t seed, int32_t mode,
                                         bool fresh)
{
    const bool trains = mode == SFCONV_MODE_TRAINING;
    const random_net made = new_random_wide_net(context, NETS_SEED + seed);
    sfconv_run *run = run_of_random(&made, mode, SFCONV_ENGINE_RANK_SPACE);
    if (resize(run, &made)) {
        trains ? step(run, 7) : forward_filled(run, 7);
    }
    if (fresh) {
        sfconv_run_destroy(run);
        run = run_of_random(&made, mode, SFCONV_ENGINE_RANK_SPACE);
    }
    reshape_random(run, &made);
    if (trains) {
        ck_assert_int_eq(sfconv_run_set_seed(run, 1, 2), SFCONV_OK);
    } else if (!fresh) {
        ck_assert_int_eq(sfconv_run_freeze(run, NULL, 0), SFCONV_OK);
    }
    const uint64_t bits = trains ? training_hash(run, 8) : forward_hash(run, 8);
    sfconv_run_destroy(run);
    sfconv_net_destroy(made.net);
    return bits;
}

static void check_traces(uint64_t seed, int32_t mode)
{
    sfconv_context *context = context_of(&settings[3], convolution_of(seed));
    ck_assert_msg(bits_behind_another_size(context, seed, mode, true) ==
                      bits_behind_another_size(context, seed, mode, false),
                  "%s of random net %d", mode == SFCONV_MODE_TRAINING ? "training" : "inference",
                  (int)seed);
    sfconv_context_destroy(context);
}

START_TEST(neither_another_size_before_nor_freezing_changes_a_bit)
{
    static const int32_t modes[] = {SFCONV_MODE_INFERENCE, SFCONV_MODE_TRAINING};
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(40); seed++) {
        check_traces(seed, modes[_i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wide_nets");
    TCase *tests = tcase_create("wide_nets");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, wide_nets_agree_with_the_layer_path, 0, 2);
    tcase_add_loop_test(tests, wide_nets_have_the_same_bits_whoever_computes_them, 0, 2);
    tcase_add_loop_test(tests, neither_another_size_before_nor_freezing_changes_a_bit, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
