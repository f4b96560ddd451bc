/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_support.h"

#include "random.h"

#include "sfconv/train.h"

#include <float.h>
#include <math.h>

static sfconv_context *context;

static void open_context(void)
{
    context = context_of_workers(1);
}

static void close_context(void)
{
    sfi_context_release(context);
}

static void fill_normal(float *data, int64_t count, uint64_t stream, double scale)
{
    const sfi_random random = {2024, stream};
    for (int64_t i = 0; i < count; i++) {
        data[i] = (float)(scale * sfi_random_normal(random, (uint64_t)i));
    }
}

static void fill_uniform(float *data, int64_t count, uint64_t stream)
{
    const sfi_random random = {2024, stream};
    for (int64_t i = 0; i < count; i++) {
        data[i] = (float)sfi_random_uniform(random, (uint64_t)i);
    }
}

typedef double (*loss_fn)(const sfconv_view *logits, const void *argument,
                          const sfconv_view *gradient);

/* The gradient against central differences of the loss. */
static void check_gradient(loss_fn loss, const void *argument, const sfconv_view *logits)
{
    float gradient_data[256];
    const int64_t *s = logits->shape;
    const int64_t count = s[0] * s[1] * s[2] * s[3];
    const sfconv_view gradient = view_of(gradient_data, s[0], s[1], s[2], s[3]);
    ck_assert_int_le(count, 256);
    loss(logits, argument, &gradient);
    for (int64_t i = 0; i < count; i++) {
        const float kept = logits->data[i];
        const float above = kept + 0x1p-9f;
        const float below = kept - 0x1p-9f;
        logits->data[i] = above;
        const double high = loss(logits, argument, NULL);
        logits->data[i] = below;
        const double low = loss(logits, argument, NULL);
        logits->data[i] = kept;
        const double slope = (high - low) / ((double)above - (double)below);
        ck_assert_double_eq_tol((double)gradient_data[i], slope, 2e-6);
    }
}

struct classes {
    const int32_t *labels;
    const sfconv_cross_entropy_desc *desc;
};

static double cross_entropy(const sfconv_view *logits, const void *argument,
                            const sfconv_view *gradient)
{
    const struct classes *classes = argument;
    double value;
    ck_assert_int_eq(sfconv_loss_cross_entropy(context, logits, classes->labels, classes->desc,
                                               &value, gradient),
                     SFCONV_OK);
    return value;
}

START_TEST(cross_entropy_of_equal_logits_is_the_log_of_the_number_of_classes)
{
    float data[8] = {3, 3, 3, 3, -7, -7, -7, -7};
    const int32_t labels[2] = {0, 3};
    const sfconv_view logits = view_of(data, 2, 4, 1, 1);
    ck_assert_double_eq_tol(cross_entropy(&logits, &(struct classes){labels, NULL}, NULL), log(4.0),
                            1e-15);
}
END_TEST

/* log-softmax of {1, 2, 3}: −2.4076059644, −1.4076059644, −0.4076059644; of {0, 0, 0}: −log 3. */
START_TEST(cross_entropy_agrees_with_the_formula_of_torch)
{
    float data[6] = {1, 2, 3, 0, 0, 0};
    const float weights[3] = {1.0f, 2.0f, 4.0f};
    const int32_t labels[2] = {2, 1};
    const double first[3] = {2.40760596444438, 1.40760596444438, 0.40760596444438};
    const double log3 = log(3.0);
    const sfconv_view logits = view_of(data, 2, 3, 1, 1);
    sfconv_cross_entropy_desc desc = SFCONV_CROSS_ENTROPY_DESC_INIT;
    const struct classes classes = {labels, &desc};
    ck_assert_double_eq_tol(cross_entropy(&logits, &classes, NULL), (first[2] + log3) / 2, 1e-13);
    desc.class_weights = weights;
    ck_assert_double_eq_tol(cross_entropy(&logits, &classes, NULL),
                            (4 * first[2] + 2 * log3) / (4 + 2), 1e-13);
    desc.label_smoothing = 0.3;
    const double spread = (first[0] + 2 * first[1] + 4 * first[2] + 7 * log3) / 3;
    ck_assert_double_eq_tol(cross_entropy(&logits, &classes, NULL),
                            (0.7 * (4 * first[2] + 2 * log3) + 0.3 * spread) / 6, 1e-13);
}
END_TEST

START_TEST(cross_entropy_gradient_is_the_derivative)
{
    float data[15];
    const float weights[3] = {0.5f, 2.0f, 1.25f};
    const int32_t labels[5] = {0, 1, 2, 1, 0};
    const sfconv_view logits = view_of(data, 5, 3, 1, 1);
    sfconv_cross_entropy_desc desc = SFCONV_CROSS_ENTROPY_DESC_INIT;
    fill_normal(data, 15, 1, 2.0);
    check_gradient(cross_entropy, &(struct classes){labels, NULL}, &logits);
    desc.class_weights = weights;
    check_gradient(cross_entropy, &(struct classes){labels, &desc}, &logits);
    desc.label_smoothing = 0.2;
    check_gradient(cross_entropy, &(struct classes){labels, &desc}, &logits);
}
END_TEST

START_TEST(cross_entropy_stays_finite_for_the_largest_logits)
{
    float data[3] = {3.4e38f, -3.4e38f, 0};
    float gradient_data[3];
    const int32_t label = 1;
    const sfconv_view logits = view_of(data, 1, 3, 1, 1);
    const sfconv_view gradient = view_of(gradient_data, 1, 3, 1, 1);
    const double value = cross_entropy(&logits, &(struct classes){&label, NULL}, &gradient);
    ck_assert_double_eq_tol(value / 6.8e38, 1.0, 1e-6);
    ck_assert(gradient_data[0] == 1 && gradient_data[1] == -1 && gradient_data[2] == 0);
}
END_TEST

/* Smoothing has classes take part that no label has: their weight may outgrow the sum of those that
 * the mean divides by. */
START_TEST(cross_entropy_refuses_weights_by_which_smoothing_would_overflow_the_gradient)
{
    float data[2] = {0, 1}, gradient_data[2] = {9, 9};
    const int32_t label = 0;
    const float weights[][2] = {{1e-30f, 1e30f}, {1e-30f, 1e8f}, {1, 3e38f}};
    double value = 42;
    const sfconv_view logits = view_of(data, 1, 2, 1, 1);
    const sfconv_view gradient = view_of(gradient_data, 1, 2, 1, 1);
    sfconv_cross_entropy_desc desc = SFCONV_CROSS_ENTROPY_DESC_INIT;
    desc.label_smoothing = 0.5;
    desc.class_weights = weights[0];
    ck_assert_int_eq(sfconv_loss_cross_entropy(context, &logits, &label, &desc, &value, &gradient),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_msg(last_error_holds(context, "class_weights[1]"), "%s", context->error);
    ck_assert(value == 42 && gradient_data[0] == 9);
    for (int i = 1; i < 3; i++) {
        desc.class_weights = weights[i];
        cross_entropy(&logits, &(struct classes){&label, &desc}, &gradient);
        ck_assert(isfinite(gradient_data[0]) && isfinite(gradient_data[1]));
    }
    desc.class_weights = weights[0];
    desc.label_smoothing = 0;
    cross_entropy(&logits, &(struct classes){&label, &desc}, &gradient);
    ck_assert(isfinite(gradient_data[0]) && isfinite(gradient_data[1]));
}
END_TEST

START_TEST(cross_entropy_refuses_labels_weights_and_logits_that_are_none)
{
    float data[6] = {0, 1, 2, 3, 4, 5};
    float gradient_data[6] = {9, 9, 9, 9, 9, 9};
    float weights[3] = {1, 0, 1};
    int32_t labels[2] = {0, 1};
    double value = 42;
    const sfconv_view logits = view_of(data, 2, 3, 1, 1);
    const sfconv_view gradient = view_of(gradient_data, 2, 3, 1, 1);
    sfconv_cross_entropy_desc desc = SFCONV_CROSS_ENTROPY_DESC_INIT;
    desc.class_weights = weights;
#define REFUSED(status, text)                                                                      \
    do {                                                                                           \
        ck_assert_int_eq(                                                                          \
            sfconv_loss_cross_entropy(context, &logits, labels, &desc, &value, &gradient),         \
            status);                                                                               \
        ck_assert_msg(last_error_holds(context, text), "%s", context->error);                      \
    } while (0)
    labels[1] = 3;
    REFUSED(SFCONV_ERROR_ARGUMENT, "labels[1]: expected a class 0 to 2, got 3");
    labels[1] = -1;
    REFUSED(SFCONV_ERROR_ARGUMENT, "labels[1]: expected a class 0 to 2, got -1");
    labels[0] = labels[1] = 1;
    REFUSED(SFCONV_ERROR_ARGUMENT, "sum to 0");
    labels[0] = 0;
    weights[2] = -1;
    REFUSED(SFCONV_ERROR_ARGUMENT, "class_weights[2]");
    weights[2] = NAN;
    REFUSED(SFCONV_ERROR_ARGUMENT, "class_weights[2]");
    weights[2] = 1;
    desc.label_smoothing = 1;
    REFUSED(SFCONV_ERROR_ARGUMENT, "label_smoothing");
    desc.label_smoothing = NAN;
    REFUSED(SFCONV_ERROR_ARGUMENT, "label_smoothing");
    desc.label_smoothing = 0;
    data[5] = NAN;
    REFUSED(SFCONV_ERROR_NUMERIC, "logits[1][2][0][0]");
    data[5] = INFINITY;
    REFUSED(SFCONV_ERROR_NUMERIC, "logits[1][2][0][0]");
#undef REFUSED
    for (int i = 0; i < 6; i++) {
        ck_assert(gradient_data[i] == 9);
    }
    ck_assert(value == 42);
}
END_TEST

struct pixels {
    const sfconv_view *targets;
    double first;
    double second;
};

static double bce(const sfconv_view *logits, const void *argument, const sfconv_view *gradient)
{
    const struct pixels *p = argument;
    double value;
    ck_assert_int_eq(sfconv_loss_bce(context, logits, p->targets, p->first, &value, gradient),
                     SFCONV_OK);
    return value;
}

static double dice(const sfconv_view *logits, const void *argument, const sfconv_view *gradient)
{
    const struct pixels *p = argument;
    double value;
    ck_assert_int_eq(sfconv_loss_dice(context, logits, p->targets, p->first, &value, gradient),
                     SFCONV_OK);
    return value;
}

static double bce_dice(const sfconv_view *logits, const void *argument, const sfconv_view *gradient)
{
    const struct pixels *p = argument;
    double value;
    ck_assert_int_eq(
        sfconv_loss_bce_dice(context, logits, p->targets, p->first, p->second, &value, gradient),
        SFCONV_OK);
    return value;
}

static double mse(const sfconv_view *logits, const void *argument, const sfconv_view *gradient)
{
    const struct pixels *p = argument;
    double value;
    ck_assert_int_eq(sfconv_loss_mse(context, logits, p->targets, &value, gradient), SFCONV_OK);
    return value;
}

START_TEST(pixel_losses_have_the_values_of_their_formulas)
{
    float x[120], t[120];
    const sfconv_view logits = view_of(x, 2, 3, 4, 5);
    const sfconv_view targets = view_of(t, 2, 3, 4, 5);
    double entropy = 0, overlap = 0, squares = 0;
    fill_normal(x, 120, 2, 3.0);
    fill_uniform(t, 120, 3);
    for (int plane = 0; plane < 6; plane++) {
        double both = 0, sum = 0;
        for (int i = 20 * plane; i < 20 * plane + 20; i++) {
            const double p = 1 / (1 + exp(-(double)x[i]));
            entropy -= 1.75 * t[i] * log(p) + (1.0 - t[i]) * log(1 - p);
            both += p * t[i], sum += p + t[i];
            squares += ((double)x[i] - t[i]) * ((double)x[i] - t[i]);
        }
        overlap += (2 * both + 0.5) / (sum + 0.5);
    }
    ck_assert_double_eq_tol(bce(&logits, &(struct pixels){&targets, 1.75, 0}, NULL), entropy / 120,
                            1e-13);
    ck_assert_double_eq_tol(dice(&logits, &(struct pixels){&targets, 0.5, 0}, NULL),
                            1 - overlap / 6, 1e-13);
    ck_assert_double_eq_tol(mse(&logits, &(struct pixels){&targets, 0, 0}, NULL), squares / 120,
                            1e-13);
}
END_TEST

START_TEST(bce_dice_is_the_weighted_sum_of_its_parts)
{
    float x[36], t[36];
    const sfconv_view logits = view_of(x, 2, 2, 3, 3);
    const sfconv_view targets = view_of(t, 2, 2, 3, 3);
    fill_normal(x, 36, 4, 2.0);
    fill_uniform(t, 36, 5);
    const struct pixels one = {&targets, 1, 0};
    ck_assert_double_eq_tol(bce_dice(&logits, &(struct pixels){&targets, 0.25, 3}, NULL),
                            0.25 * bce(&logits, &one, NULL) + 3 * dice(&logits, &one, NULL), 1e-14);
}
END_TEST

START_TEST(pixel_loss_gradients_are_the_derivatives)
{
    float x[36], t[36];
    const sfconv_view logits = view_of(x, 2, 2, 3, 3);
    const sfconv_view targets = view_of(t, 2, 2, 3, 3);
    fill_normal(x, 36, 6, 2.0);
    fill_uniform(t, 36, 7);
    check_gradient(bce, &(struct pixels){&targets, 1, 0}, &logits);
    check_gradient(bce, &(struct pixels){&targets, 2.5, 0}, &logits);
    check_gradient(dice, &(struct pixels){&targets, 1, 0}, &logits);
    check_gradient(dice, &(struct pixels){&targets, 1e-3, 0}, &logits);
    check_gradient(bce_dice, &(struct pixels){&targets, 0.5, 2}, &logits);
    check_gradient(mse, &(struct pixels){&targets, 0, 0}, &logits);
}
END_TEST

START_TEST(bce_of_large_logits_is_exact_and_finite)
{
    float x[4] = {1e30f, -1e30f, 1e30f, -1e30f};
    float t[4] = {1, 0, 0, 1};
    float g[4];
    const sfconv_view logits = view_of(x, 1, 1, 2, 2);
    const sfconv_view targets = view_of(t, 1, 1, 2, 2);
    const sfconv_view gradient = view_of(g, 1, 1, 2, 2);
    const double value = bce(&logits, &(struct pixels){&targets, 1, 0}, &gradient);
    ck_assert_double_eq_tol(value / 0.5e30, 1.0, 1e-6);
    ck_assert(g[0] == 0 && g[1] == 0 && g[2] == 0.25f && g[3] == -0.25f);
}
END_TEST

START_TEST(an_empty_mask_that_is_predicted_empty_has_dice_loss_0)
{
    float x[16], t[16] = {0};
    const sfconv_view logits = view_of(x, 1, 1, 4, 4);
    const sfconv_view targets = view_of(t, 1, 1, 4, 4);
    for (int i = 0; i < 16; i++) {
        x[i] = -800;
    }
    ck_assert_double_eq(dice(&logits, &(struct pixels){&targets, 1, 0}, NULL), 0.0);
}
END_TEST

/* Every second column of a wider, transposed memory. */
static sfconv_view strided_copy(float *memory, const sfconv_view *source)
{
    const int64_t *s = source->shape;
    const sfconv_view view = {memory,
                              4,
                              0,
                              {s[0], s[1], s[2], s[3]},
                              {2, 2 * s[0], 2 * s[0] * s[1] * s[3], 2 * s[0] * s[1]}};
    for (int64_t i = 0; i < s[0] * s[1] * s[2] * s[3]; i++) {
        const int64_t w = i % s[3], h = i / s[3] % s[2];
        const int64_t c = i / s[3] / s[2] % s[1], n = i / s[3] / s[2] / s[1];
        memory[n * view.stride[0] + c * view.stride[1] + h * view.stride[2] + w * view.stride[3]] =
            source->data[i];
    }
    return view;
}

START_TEST(strides_of_the_views_do_not_change_a_bit)
{
    static float x[120], t[120], g[120], x2[240], t2[240], g2[240], g3[240];
    const sfconv_view logits = view_of(x, 2, 3, 4, 5);
    const sfconv_view targets = view_of(t, 2, 3, 4, 5);
    const sfconv_view gradient = view_of(g, 2, 3, 4, 5);
    fill_normal(x, 120, 8, 2.0);
    fill_uniform(t, 120, 9);
    const sfconv_view logits2 = strided_copy(x2, &logits);
    const sfconv_view targets2 = strided_copy(t2, &targets);
    const sfconv_view gradient2 = strided_copy(g2, &gradient);
    const loss_fn losses[] = {bce, dice, bce_dice, mse};
    for (int i = 0; i < 4; i++) {
        const double plain = losses[i](&logits, &(struct pixels){&targets, 1, 1}, &gradient);
        const double strided = losses[i](&logits2, &(struct pixels){&targets2, 1, 1}, &gradient2);
        ck_assert_double_eq(plain, strided);
        strided_copy(g3, &gradient);
        ck_assert_mem_eq(g2, g3, sizeof g2);
    }
}
END_TEST

START_TEST(losses_have_the_same_bits_for_any_number_of_workers_and_instruction_set)
{
    enum { N = 3, C = 7, S = 61, COUNT = N * C * S * S, BATCH = 5000 };
    static float x[COUNT], t[COUNT], g[3][COUNT];
    static int32_t labels[BATCH];
    double values[3][4];
    const int32_t best = sfk_best_isa(SFCONV_ISA_BEST);
    const sfconv_view logits = view_of(x, N, C, S, S);
    const sfconv_view rows = view_of(x, BATCH, 10, 1, 1);
    const sfconv_view targets = view_of(t, N, C, S, S);
    fill_normal(x, COUNT, 10, 2.0);
    fill_uniform(t, COUNT, 11);
    for (int i = 0; i < BATCH; i++) {
        labels[i] = i % 10;
    }
    const struct pixels pixels = {&targets, 1, 1};
    for (int k = 0; k < 3; k++) {
        close_context();
        context = context_of(k == 1 ? 4 : 1, k == 2 ? SFCONV_ISA_REFERENCE : best);
        const sfconv_view gradient = view_of(g[k], N, C, S, S);
        const sfconv_view row_gradient = view_of(g[k], BATCH, 10, 1, 1);
        values[k][0] = bce_dice(&logits, &pixels, &gradient);
        values[k][1] = dice(&logits, &pixels, NULL);
        values[k][2] = mse(&logits, &pixels, NULL);
        values[k][3] = cross_entropy(&rows, &(struct classes){labels, NULL}, &row_gradient);
    }
    for (int k = 1; k < 3; k++) {
        ck_assert_mem_eq(values[0], values[k], sizeof values[0]);
        ck_assert_mem_eq(g[0], g[k], sizeof g[0]);
    }
}
END_TEST

START_TEST(pixel_losses_refuse_bad_targets_logits_and_settings_and_leave_the_gradient_alone)
{
    float x[8] = {0}, t[8] = {0}, g[8] = {7, 7, 7, 7, 7, 7, 7, 7};
    double value = 42;
    const sfconv_view logits = view_of(x, 1, 2, 2, 2);
    const sfconv_view targets = view_of(t, 1, 2, 2, 2);
    const sfconv_view gradient = view_of(g, 1, 2, 2, 2);
    t[3] = 1.5f;
    ck_assert_int_eq(sfconv_loss_bce(context, &logits, &targets, 1, &value, &gradient),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert(last_error_holds(context, "targets[0][0][1][1]"));
    t[3] = NAN;
    ck_assert_int_eq(sfconv_loss_dice(context, &logits, &targets, 1, &value, &gradient),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_loss_mse(context, &logits, &targets, &value, &gradient),
                     SFCONV_ERROR_NUMERIC);
    t[3] = 0;
    x[6] = NAN;
    ck_assert_int_eq(sfconv_loss_bce_dice(context, &logits, &targets, 1, 1, &value, &gradient),
                     SFCONV_ERROR_NUMERIC);
    ck_assert(last_error_holds(context, "logits[0][1][1][0]: expected a finite number, got nan"));
    ck_assert_int_eq(sfconv_loss_mse(context, &logits, &targets, &value, &gradient),
                     SFCONV_ERROR_NUMERIC);
    x[6] = 0;
    const double bad[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(sfconv_loss_bce(context, &logits, &targets, bad[i], &value, &gradient),
                         SFCONV_ERROR_ARGUMENT);
        ck_assert_int_eq(sfconv_loss_dice(context, &logits, &targets, bad[i], &value, &gradient),
                         SFCONV_ERROR_ARGUMENT);
        ck_assert_int_eq(
            i ? sfconv_loss_bce_dice(context, &logits, &targets, 1, bad[i], &value, &gradient)
              : SFCONV_ERROR_ARGUMENT,
            SFCONV_ERROR_ARGUMENT);
    }
    for (int i = 0; i < 8; i++) {
        ck_assert(g[i] == 7);
    }
    ck_assert(value == 42);
}
END_TEST

/* One pixel takes the whole weight. */
START_TEST(the_largest_weights_of_pixel_losses_have_finite_gradients_and_larger_ones_are_refused)
{
    const double all = (double)FLT_MAX;
    const float levels[] = {-1e30f, -2, -1, 0, 1, 2, 1e30f};
    float x, t, g;
    double value;
    const sfconv_view logits = view_of(&x, 1, 1, 1, 1);
    const sfconv_view targets = view_of(&t, 1, 1, 1, 1);
    const sfconv_view gradient = view_of(&g, 1, 1, 1, 1);
    for (int i = 0; i < 7 * 3; i++) {
        x = levels[i / 3], t = (float)(i % 3) / 2;
        bce(&logits, &(struct pixels){&targets, all, 0}, &gradient);
        ck_assert(isfinite(g));
        for (int part = 0; part <= 4; part++) {
            const double first = part * (all / 4);
            bce_dice(&logits, &(struct pixels){&targets, first, all - first}, &gradient);
            ck_assert(isfinite(g));
        }
    }
    const double refused[][2] = {{1e300, 0}, {0, 1e300}, {all, all}, {all / 2, 0.75 * all}};
    g = 7;
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(sfconv_loss_bce_dice(context, &logits, &targets, refused[i][0],
                                              refused[i][1], &value, &gradient),
                         SFCONV_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(sfconv_loss_bce(context, &logits, &targets, 1e300, &value, &gradient),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert(g == 7);
}
END_TEST

START_TEST(losses_refuse_views_that_are_none_or_do_not_fit)
{
    float x[8] = {0}, t[8] = {0}, g[8] = {0};
    double value;
    const sfconv_view good = view_of(x, 1, 2, 2, 2);
    const sfconv_view targets = view_of(t, 1, 2, 2, 2);
    sfconv_view bad = good;
#define REFUSED(status, logits, aims, gradient)                                                    \
    ck_assert_int_eq(sfconv_loss_bce(context, logits, aims, 1, &value, gradient), status)
    REFUSED(SFCONV_ERROR_ARGUMENT, NULL, &targets, NULL);
    REFUSED(SFCONV_ERROR_ARGUMENT, &good, NULL, NULL);
    bad.data = NULL;
    REFUSED(SFCONV_ERROR_ARGUMENT, &bad, &targets, NULL);
    bad = good, bad.rank = 5;
    REFUSED(SFCONV_ERROR_ARGUMENT, &bad, &targets, NULL);
    bad = good, bad.shape[2] = 0;
    REFUSED(SFCONV_ERROR_ARGUMENT, &bad, &targets, NULL);
    bad = good, bad.stride[1] = -4;
    REFUSED(SFCONV_ERROR_ARGUMENT, &bad, &targets, NULL);
    bad = good, bad.shape[0] = INT64_MAX / 3;
    REFUSED(SFCONV_ERROR_ARGUMENT, &bad, &targets, NULL);
    bad = good, bad.shape[3] = 1;
    REFUSED(SFCONV_ERROR_SHAPE, &good, &bad, NULL);
    REFUSED(SFCONV_ERROR_SHAPE, &good, &targets, &bad);
    bad = view_of(g, 1, 2, 2, 2), bad.stride[3] = 0;
    REFUSED(SFCONV_ERROR_ARGUMENT, &good, &targets, &bad);
#undef REFUSED
    ck_assert_int_eq(sfconv_loss_bce(context, &good, &targets, 1, NULL, NULL),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_loss_bce(NULL, &good, &targets, 1, &value, NULL),
                     SFCONV_ERROR_ARGUMENT);
    const int32_t label = 0;
    ck_assert_int_eq(sfconv_loss_cross_entropy(context, &good, &label, NULL, &value, NULL),
                     SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfconv_loss_cross_entropy(context, &good, NULL, NULL, &value, NULL),
                     SFCONV_ERROR_ARGUMENT);
    /* Axes that a view has not are 1 long. */
    const sfconv_view flat = {x, 2, 0, {4, 2, 99, 99}, {2, 1, -1, -1}};
    const int32_t labels[4] = {0, 1, 0, 1};
    ck_assert_int_eq(sfconv_loss_cross_entropy(context, &flat, labels, NULL, &value, NULL),
                     SFCONV_OK);
    ck_assert_double_eq_tol(value, log(2.0), 1e-15);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("losses");
    TCase *tests = tcase_create("losses");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, cross_entropy_of_equal_logits_is_the_log_of_the_number_of_classes);
    tcase_add_test(tests, cross_entropy_agrees_with_the_formula_of_torch);
    tcase_add_test(tests, cross_entropy_gradient_is_the_derivative);
    tcase_add_test(tests, cross_entropy_stays_finite_for_the_largest_logits);
    tcase_add_test(tests,
                   cross_entropy_refuses_weights_by_which_smoothing_would_overflow_the_gradient);
    tcase_add_test(tests, cross_entropy_refuses_labels_weights_and_logits_that_are_none);
    tcase_add_test(tests, pixel_losses_have_the_values_of_their_formulas);
    tcase_add_test(tests, bce_dice_is_the_weighted_sum_of_its_parts);
    tcase_add_test(tests, pixel_loss_gradients_are_the_derivatives);
    tcase_add_test(tests, bce_of_large_logits_is_exact_and_finite);
    tcase_add_test(tests, an_empty_mask_that_is_predicted_empty_has_dice_loss_0);
    tcase_add_test(tests, strides_of_the_views_do_not_change_a_bit);
    tcase_add_test(tests, losses_have_the_same_bits_for_any_number_of_workers_and_instruction_set);
    tcase_add_test(
        tests, pixel_losses_refuse_bad_targets_logits_and_settings_and_leave_the_gradient_alone);
    tcase_add_test(
        tests,
        the_largest_weights_of_pixel_losses_have_finite_gradients_and_larger_ones_are_refused);
    tcase_add_test(tests, losses_refuse_views_that_are_none_or_do_not_fit);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
