/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_support.h"

#include "random.h"

#include "sfconv/train.h"

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

static sfconv_confusion *confusion_of(int32_t classes, const int32_t *counts)
{
    sfconv_confusion *confusion;
    ck_assert_int_eq(sfconv_confusion_create(&confusion, context, classes), SFCONV_OK);
    for (int32_t i = 0; counts && i < classes * classes; i++) {
        for (int32_t k = 0; k < counts[i]; k++) {
            ck_assert_int_eq(sfconv_confusion_add(confusion, i / classes, i % classes), SFCONV_OK);
        }
    }
    return confusion;
}

static double kappa_of(int32_t classes, const int32_t *counts)
{
    double value;
    sfconv_confusion *confusion = confusion_of(classes, counts);
    ck_assert_int_eq(sfconv_confusion_quadratic_kappa(confusion, &value), SFCONV_OK);
    sfconv_confusion_destroy(confusion);
    return value;
}

START_TEST(accuracies_of_a_confusion_matrix)
{
    /* Class 2 does not occur; classes 0 and 1 are recognised 3 of 4 and 1 of 2 times. */
    const int32_t counts[9] = {3, 0, 1, 1, 1, 0, 0, 0, 0};
    double value;
    int64_t count;
    sfconv_confusion *confusion = confusion_of(3, counts);
    ck_assert_int_eq(sfconv_confusion_accuracy(confusion, &value), SFCONV_OK);
    ck_assert_double_eq_tol(value, 4.0 / 6, 1e-15);
    ck_assert_int_eq(sfconv_confusion_balanced_accuracy(confusion, &value), SFCONV_OK);
    ck_assert_double_eq_tol(value, (0.75 + 0.5) / 2, 1e-15);
    ck_assert_int_eq(sfconv_confusion_count(confusion, 0, 2, &count), SFCONV_OK);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(sfconv_confusion_count(confusion, 3, 0, &count), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_confusion_count(confusion, 0, -1, &count), SFCONV_ERROR_NOT_FOUND);
    sfconv_confusion_destroy(confusion);
}
END_TEST

START_TEST(quadratic_kappa_of_two_classes_is_cohens_kappa)
{
    /* Cohen's kappa of 45, 15, 25, 15: (0.60 − 0.54) / (1 − 0.54). */
    const int32_t counts[4] = {45, 15, 25, 15};
    ck_assert_double_eq_tol(kappa_of(2, counts), 0.06 / 0.46, 1e-14);
}
END_TEST

/* 1 − Σ w O / Σ w E with E from the marginals, straight from the definition. */
static double kappa_by_definition(int32_t classes, const int32_t *counts)
{
    double above = 0, below = 0, total = 0;
    for (int32_t i = 0; i < classes * classes; i++) {
        total += counts[i];
    }
    for (int32_t i = 0; i < classes; i++) {
        for (int32_t j = 0; j < classes; j++) {
            double row = 0, column = 0;
            const double weight = (i - j) * (i - j) / (double)((classes - 1) * (classes - 1));
            for (int32_t k = 0; k < classes; k++) {
                row += counts[i * classes + k], column += counts[k * classes + j];
            }
            above += weight * counts[i * classes + j] / total;
            below += weight * row / total * column / total;
        }
    }
    return 1 - above / below;
}

START_TEST(quadratic_kappa_follows_its_definition)
{
    int32_t counts[25];
    const sfi_random random = {5, 5};
    for (int i = 0; i < 25; i++) {
        counts[i] = (int32_t)sfi_random_below(random, (uint64_t)i, 30);
    }
    ck_assert_double_eq_tol(kappa_of(5, counts), kappa_by_definition(5, counts), 1e-14);
}
END_TEST

START_TEST(quadratic_kappa_is_defined_where_its_quotient_is_not)
{
    const int32_t one_class[9] = {0, 0, 0, 0, 7, 0, 0, 0, 0};
    const int32_t constant_prediction[9] = {0, 3, 0, 0, 2, 0, 0, 9, 0};
    const int32_t constant_truth[9] = {1, 4, 2, 0, 0, 0, 0, 0, 0};
    const int32_t two_constants[9] = {0, 0, 5, 0, 0, 0, 0, 0, 0};
    const int32_t perfect[9] = {3, 0, 0, 0, 4, 0, 0, 0, 5};
    const int32_t opposite[4] = {0, 5, 5, 0};
    ck_assert_double_eq(kappa_of(3, one_class), 1.0);
    ck_assert_double_eq(kappa_of(3, constant_prediction), 0.0);
    ck_assert_double_eq(kappa_of(3, constant_truth), 0.0);
    ck_assert_double_eq(kappa_of(3, two_constants), 0.0);
    ck_assert_double_eq(kappa_of(3, perfect), 1.0);
    ck_assert_double_eq_tol(kappa_of(2, opposite), -1.0, 1e-15);
}
END_TEST

START_TEST(a_batch_of_logits_counts_the_first_largest)
{
    float data[12] = {1, 5, 5, /**/ 2, 2, 2, /**/ -3, -2, -1, /**/ 0, INFINITY, 1};
    const int32_t labels[4] = {2, 0, 2, 1};
    const int64_t wanted[9] = {1, 0, 0, 0, 1, 0, 0, 1, 1};
    const sfconv_view logits = view_of(data, 4, 3, 1, 1);
    sfconv_confusion *confusion = confusion_of(3, NULL);
    ck_assert_int_eq(sfconv_confusion_add_logits(confusion, &logits, labels), SFCONV_OK);
    for (int i = 0; i < 9; i++) {
        int64_t count;
        ck_assert_int_eq(sfconv_confusion_count(confusion, i / 3, i % 3, &count), SFCONV_OK);
        ck_assert_int_eq(count, wanted[i]);
    }
    sfconv_confusion_destroy(confusion);
}
END_TEST

START_TEST(a_confusion_matrix_refuses_what_it_cannot_count_and_counts_nothing)
{
    float data[6] = {1, 2, 3, 4, 5, 6};
    int32_t labels[2] = {0, 3};
    double value;
    const sfconv_view logits = view_of(data, 2, 3, 1, 1);
    const sfconv_view two_classes = view_of(data, 2, 2, 1, 1);
    const sfconv_view maps = view_of(data, 1, 3, 1, 2);
    sfconv_confusion *confusion = confusion_of(3, NULL);
    ck_assert_int_eq(sfconv_confusion_accuracy(confusion, &value), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_confusion_balanced_accuracy(confusion, &value), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_confusion_quadratic_kappa(confusion, &value), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_confusion_add_logits(confusion, &logits, labels),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert(last_error_holds(context, "labels[1]"));
    labels[1] = 1;
    data[4] = NAN;
    ck_assert_int_eq(sfconv_confusion_add_logits(confusion, &logits, labels), SFCONV_ERROR_NUMERIC);
    ck_assert_int_eq(sfconv_confusion_add_logits(confusion, &two_classes, labels),
                     SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfconv_confusion_add_logits(confusion, &maps, labels), SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfconv_confusion_add_logits(confusion, &logits, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_confusion_add(confusion, 3, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_confusion_add(confusion, 0, -1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_confusion_accuracy(confusion, &value), SFCONV_ERROR_STATE);
    sfconv_confusion_destroy(confusion);
    ck_assert_int_eq(sfconv_confusion_create(&confusion, context, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_ptr_null(confusion);
    ck_assert_int_eq(sfconv_confusion_create(&confusion, context, 10001), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_confusion_add(NULL, 0, 0), SFCONV_ERROR_ARGUMENT);
    sfconv_confusion_destroy(NULL);
}
END_TEST

static double auc(const float *scores, const int32_t *labels, int64_t count)
{
    double value;
    ck_assert_int_eq(sfconv_metric_auc(context, scores, labels, count, &value), SFCONV_OK);
    return value;
}

START_TEST(auc_counts_the_pairs_in_order)
{
    /* The example of scikit-learn's roc_auc_score. */
    const float scores[4] = {0.1f, 0.4f, 0.35f, 0.8f};
    const int32_t labels[4] = {0, 0, 1, 1};
    ck_assert_double_eq(auc(scores, labels, 4), 0.75);
}
END_TEST

START_TEST(auc_agrees_with_all_pairs_whatever_signs_and_ties)
{
    enum { COUNT = 500 };
    float scores[COUNT];
    int32_t labels[COUNT];
    const sfi_random random = {11, 2};
    double won = 0, pairs = 0;
    for (int i = 0; i < COUNT; i++) {
        scores[i] = (float)rint(6 * sfi_random_normal(random, (uint64_t)i)) / 4;
        labels[i] = sfi_random_uniform(random, (uint64_t)(COUNT + i)) < 0.3;
    }
    scores[0] = -0.0f, scores[1] = 0.0f, scores[2] = INFINITY, scores[3] = -INFINITY;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            if (labels[i] && !labels[j]) {
                pairs++;
                won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
            }
        }
    }
    ck_assert_double_eq_tol(auc(scores, labels, COUNT), won / pairs, 1e-15);
}
END_TEST

START_TEST(auc_of_one_class_or_equal_scores_is_a_half)
{
    const float scores[3] = {1, 2, 3};
    const float equal[3] = {-0.0f, 0.0f, 0.0f};
    const int32_t ones[3] = {1, 1, 1};
    const int32_t mixed[3] = {1, 0, 0};
    ck_assert_double_eq(auc(scores, ones, 3), 0.5);
    ck_assert_double_eq(auc(equal, mixed, 3), 0.5);
}
END_TEST

START_TEST(auc_refuses_labels_and_scores_that_are_none)
{
    float scores[2] = {1, 2};
    int32_t labels[2] = {1, 2};
    double value = 42;
    ck_assert_int_eq(sfconv_metric_auc(context, scores, labels, 2, &value), SFCONV_ERROR_ARGUMENT);
    ck_assert(last_error_holds(context, "labels[1]"));
    labels[1] = 0;
    scores[1] = NAN;
    ck_assert_int_eq(sfconv_metric_auc(context, scores, labels, 2, &value), SFCONV_ERROR_NUMERIC);
    ck_assert_int_eq(sfconv_metric_auc(context, scores, labels, 0, &value), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_metric_auc(context, NULL, labels, 1, &value), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_metric_auc(context, scores, NULL, 1, &value), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_metric_auc(NULL, scores, labels, 1, &value), SFCONV_ERROR_ARGUMENT);
    ck_assert(value == 42);
}
END_TEST

START_TEST(overlap_counts_pixels_on_both_sides_of_the_threshold)
{
    float x[6] = {0.0f, 1e-6f, 3, -2, 5, -1};
    float m[6] = {1, 1, 0, 0.5f, 0.6f, 1};
    const sfconv_view logits = view_of(x, 1, 1, 2, 3);
    const sfconv_view mask = view_of(m, 1, 1, 2, 3);
    sfconv_overlap overlap = SFCONV_OVERLAP_INIT;
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, 0), SFCONV_OK);
    ck_assert_int_eq(overlap.true_positive, 2);
    ck_assert_int_eq(overlap.false_positive, 1);
    ck_assert_int_eq(overlap.false_negative, 2);
    ck_assert_int_eq(overlap.true_negative, 1);
    ck_assert_double_eq(sfconv_overlap_dice(&overlap), 4.0 / 7);
    ck_assert_double_eq(sfconv_overlap_iou(&overlap), 2.0 / 5);
    ck_assert_double_eq(sfconv_overlap_sensitivity(&overlap), 0.5);
    ck_assert_double_eq(sfconv_overlap_specificity(&overlap), 0.5);
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, -10), SFCONV_OK);
    ck_assert_int_eq(overlap.true_positive, 6);
    ck_assert_int_eq(overlap.false_positive, 3);
}
END_TEST

START_TEST(overlap_of_empty_masks_is_defined)
{
    float low[4] = {-1, -1, -1, -1}, high[4] = {1, 1, 1, 1}, empty[4] = {0}, full[4] = {1, 1, 1, 1};
    const sfconv_view nothing = view_of(low, 1, 1, 2, 2);
    const sfconv_view everything = view_of(high, 1, 1, 2, 2);
    const sfconv_view empty_mask = view_of(empty, 1, 1, 2, 2);
    const sfconv_view full_mask = view_of(full, 1, 1, 2, 2);
    sfconv_overlap right = SFCONV_OVERLAP_INIT, wrong = SFCONV_OVERLAP_INIT;
    sfconv_overlap filled = SFCONV_OVERLAP_INIT;
    ck_assert_int_eq(sfconv_overlap_add(context, &right, &nothing, &empty_mask, 0), SFCONV_OK);
    ck_assert_double_eq(sfconv_overlap_dice(&right), 1.0);
    ck_assert_double_eq(sfconv_overlap_iou(&right), 1.0);
    ck_assert_double_eq(sfconv_overlap_sensitivity(&right), 1.0);
    ck_assert_double_eq(sfconv_overlap_specificity(&right), 1.0);
    ck_assert_int_eq(sfconv_overlap_add(context, &wrong, &everything, &empty_mask, 0), SFCONV_OK);
    ck_assert_double_eq(sfconv_overlap_dice(&wrong), 0.0);
    ck_assert_double_eq(sfconv_overlap_iou(&wrong), 0.0);
    ck_assert_double_eq(sfconv_overlap_sensitivity(&wrong), 1.0);
    ck_assert_double_eq(sfconv_overlap_specificity(&wrong), 0.0);
    ck_assert_int_eq(sfconv_overlap_add(context, &filled, &everything, &full_mask, 0), SFCONV_OK);
    ck_assert_double_eq(sfconv_overlap_dice(&filled), 1.0);
    ck_assert_double_eq(sfconv_overlap_specificity(&filled), 1.0);
    ck_assert_double_nan(sfconv_overlap_dice(NULL));
    ck_assert_double_nan(sfconv_overlap_iou(NULL));
    ck_assert_double_nan(sfconv_overlap_sensitivity(NULL));
    ck_assert_double_nan(sfconv_overlap_specificity(NULL));
}
END_TEST

START_TEST(overlap_refuses_counts_that_are_negative_or_leave_no_room_for_the_pixels)
{
    float x[4] = {1, 1, -1, -1}, m[4] = {1, 0, 1, 0};
    const sfconv_view logits = view_of(x, 1, 1, 2, 2);
    const sfconv_view mask = view_of(m, 1, 1, 2, 2);
    for (int i = 0; i < 4; i++) {
        sfconv_overlap overlap = SFCONV_OVERLAP_INIT;
        int64_t *const counts[] = {&overlap.true_positive, &overlap.false_positive,
                                   &overlap.false_negative, &overlap.true_negative};
        static const char *const names[] = {"true_positive", "false_positive", "false_negative",
                                            "true_negative"};
        const int64_t refused[] = {INT64_MAX, INT64_MAX - 3, -1};
        for (int j = 0; j < 3; j++) {
            *counts[i] = refused[j];
            ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, 0),
                             SFCONV_ERROR_ARGUMENT);
            ck_assert_msg(last_error_holds(context, names[i]), "%s", context->error);
            ck_assert_int_eq(*counts[i], refused[j]);
            ck_assert_int_eq(*counts[(i + 1) % 4], 0);
        }
        *counts[i] = INT64_MAX - 4;
        ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, 0), SFCONV_OK);
        ck_assert_int_eq(*counts[i], INT64_MAX - 3);
    }
}
END_TEST

START_TEST(overlap_refuses_nan_shapes_and_old_structures_and_counts_nothing)
{
    float x[4] = {0, 0, 0, NAN}, m[4] = {0};
    const sfconv_view logits = view_of(x, 1, 1, 2, 2);
    const sfconv_view mask = view_of(m, 1, 1, 2, 2);
    const sfconv_view narrow = view_of(m, 1, 1, 1, 2);
    sfconv_overlap overlap = SFCONV_OVERLAP_INIT;
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, 0),
                     SFCONV_ERROR_NUMERIC);
    x[3] = 0;
    m[1] = NAN;
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, 0),
                     SFCONV_ERROR_NUMERIC);
    m[1] = 0;
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &narrow, 0),
                     SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, NAN),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_overlap_add(context, NULL, &logits, &mask, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, NULL, &mask, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, NULL, 0),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_overlap_add(NULL, &overlap, &logits, &mask, 0), SFCONV_ERROR_ARGUMENT);
    overlap.struct_size = 8;
    ck_assert_int_eq(sfconv_overlap_add(context, &overlap, &logits, &mask, 0),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(overlap.true_positive + overlap.false_positive + overlap.false_negative +
                         overlap.true_negative,
                     0);
}
END_TEST

START_TEST(metrics_without_memory_say_so_and_hold_none)
{
    struct rationed_memory memory = {1, 0};
    sfconv_context *poor = context_of_memory(&memory);
    const float score = 1;
    const int32_t label = 1;
    const int held = memory.held;
    double value = 42;
    sfconv_confusion *confusion = (sfconv_confusion *)&memory;
    for (int served = 0; served < 2; served++) {
        memory.left = served;
        ck_assert_int_eq(sfconv_confusion_create(&confusion, poor, 3), SFCONV_ERROR_MEMORY);
        ck_assert_ptr_null(confusion);
    }
    memory.left = 0;
    ck_assert_int_eq(sfconv_metric_auc(poor, &score, &label, 1, &value), SFCONV_ERROR_MEMORY);
    ck_assert(value == 42);
    ck_assert_int_eq(memory.held, held);
    sfi_context_release(poor);
    ck_assert_int_eq(memory.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, accuracies_of_a_confusion_matrix);
    tcase_add_test(tests, quadratic_kappa_of_two_classes_is_cohens_kappa);
    tcase_add_test(tests, quadratic_kappa_follows_its_definition);
    tcase_add_test(tests, quadratic_kappa_is_defined_where_its_quotient_is_not);
    tcase_add_test(tests, a_batch_of_logits_counts_the_first_largest);
    tcase_add_test(tests, a_confusion_matrix_refuses_what_it_cannot_count_and_counts_nothing);
    tcase_add_test(tests, auc_counts_the_pairs_in_order);
    tcase_add_test(tests, auc_agrees_with_all_pairs_whatever_signs_and_ties);
    tcase_add_test(tests, auc_of_one_class_or_equal_scores_is_a_half);
    tcase_add_test(tests, auc_refuses_labels_and_scores_that_are_none);
    tcase_add_test(tests, overlap_counts_pixels_on_both_sides_of_the_threshold);
    tcase_add_test(tests, overlap_of_empty_masks_is_defined);
    tcase_add_test(tests, overlap_refuses_counts_that_are_negative_or_leave_no_room_for_the_pixels);
    tcase_add_test(tests, overlap_refuses_nan_shapes_and_old_structures_and_counts_nothing);
    tcase_add_test(tests, metrics_without_memory_say_so_and_hold_none);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
