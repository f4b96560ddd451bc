/* SPDX-License-Identifier: BSD-2-Clause */
#include "matrices.h"

#include "factorize.h"
#include "unfold.h"

static const sfi_progress silent = {NULL, NULL};

/* Without values only the leading ones are computed; with them, all by LAPACK's gesdd. */
static void assert_leading_as_all(const float *dense, double tolerance)
{
    enum { ROWS = 24, COLS = 40, RANK = 5 };
    float p[2][ROWS * RANK], q[2][RANK * COLS], product[2][ROWS * COLS];
    double error[2], values[ROWS];
    sfconv_context *context = context_with_workers(1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(sfi_decompose(context, ROWS, COLS, dense, RANK, SFI_SVD_EXACT, p[i], q[i],
                                       &error[i], i ? values : NULL, silent),
                         SFCONV_OK);
        ck_assert_int_eq(sfi_compose(context, ROWS, COLS, RANK, p[i], q[i], product[i]), SFCONV_OK);
    }
    ck_assert_double_eq_tol(error[0], error[1], tolerance);
    for (int i = 0; i < ROWS * COLS; i++) {
        ck_assert_double_eq_tol((double)product[0][i], (double)product[1][i], 3e-6);
    }
    sfi_context_release(context);
}

START_TEST(leading_values_alone_give_the_same_product_and_error)
{
    float dense[24 * 40];
    const sfi_random random = {11, 3};
    for (int i = 0; i < 24 * 40; i++) {
        dense[i] = (float)sfi_random_normal(random, (uint64_t)i);
    }
    assert_leading_as_all(dense, 1e-12);
    /* Rank five exactly, but for the rounding to float: nothing that a difference could show. */
    for (int i = 0; i < 24; i++) {
        for (int j = 0; j < 40; j++) {
            double sum = 0;
            for (int t = 0; t < 5; t++) {
                sum += sfi_random_normal(random, (uint64_t)(1000 + 24 * t + i)) *
                       sfi_random_normal(random, (uint64_t)(2000 + 40 * t + j));
            }
            dense[i * 40 + j] = (float)sum;
        }
    }
    assert_leading_as_all(dense, 1e-14);
}
END_TEST

START_TEST(decompose_reports_the_error_that_the_product_has)
{
    const int64_t shapes[][2] = {{24, 10}, {10, 24}, {15, 15}, {60, 33}, {7, 1}, {1, 7}};
    sfconv_context *context = context_with_workers(1);
    for (int s = 0; s < 6; s++) {
        const int64_t rows = shapes[s][0], cols = shapes[s][1];
        const int64_t most = rows < cols ? rows : cols;
        float *dense = random_matrix(rows, cols, 20);
        float *p = checked_memory((size_t)(rows * most) * sizeof(float));
        float *q = checked_memory((size_t)(cols * most) * sizeof(float));
        for (int64_t rank = 1; rank <= most; rank++) {
            for (int method = SFI_SVD_GRAM; method <= SFI_SVD_EXACT; method++) {
                double error = -1;
                ck_assert_int_eq(sfi_decompose(context, rows, cols, dense, rank,
                                               (sfi_svd_method)method, p, q, &error, NULL, silent),
                                 SFCONV_OK);
                const double real = distance_to_product(rows, cols, rank, dense, p, q) /
                                    norm_of(rows * cols, dense);
                ck_assert_double_eq_tol(error, real, 3e-7);
                ck_assert(rank < most || error == 0);
                ck_assert_double_eq_tol(norm_of(rows * rank, p), norm_of(cols * rank, q),
                                        1e-5 * norm_of(rows * rank, p));
            }
        }
        free(dense);
        free(p);
        free(q);
    }
    sfi_context_release(context);
}
END_TEST

START_TEST(decompose_hands_out_the_spectrum_and_finds_the_rank)
{
    const double spectrum[6] = {5, 4, 2, 0, 0, 0};
    float p[60], q[18];
    double values[6], error;
    sfconv_context *context = context_with_workers(1);
    float *dense = matrix_with_spectrum(20, 6, spectrum, 2);
    ck_assert_int_eq(
        sfi_decompose(context, 20, 6, dense, 3, SFI_SVD_EXACT, p, q, &error, values, silent),
        SFCONV_OK);
    ck_assert_double_le(error, 1e-6);
    for (int t = 0; t < 6; t++) {
        ck_assert_double_eq_tol(values[t], spectrum[t], 1e-6);
    }
    ck_assert_double_le(distance_to_product(20, 6, 3, dense, p, q), 1e-5);
    free(dense);
    sfi_context_release(context);
}
END_TEST

START_TEST(decompose_takes_zeros_and_refuses_what_is_not_finite)
{
    float dense[12] = {0}, p[8], q[6];
    double error = -1;
    sfconv_context *context = context_with_workers(1);
    ck_assert_int_eq(
        sfi_decompose(context, 4, 3, dense, 2, SFI_SVD_GRAM, p, q, &error, NULL, silent),
        SFCONV_OK);
    ck_assert_double_eq(error, 0);
    ck_assert_double_eq(norm_of(8, p) + norm_of(6, q), 0);
    p[0] = 42;
    dense[5] = NAN;
    ck_assert_int_eq(
        sfi_decompose(context, 4, 3, dense, 2, SFI_SVD_EXACT, p, q, &error, NULL, silent),
        SFCONV_ERROR_NUMERIC);
    ck_assert_int_eq(
        sfi_decompose(context, 4, 3, dense, 4, SFI_SVD_EXACT, p, q, &error, NULL, silent),
        SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "rank: expected 1 to 3, got 4");
    ck_assert_float_eq(p[0], 42);
    sfi_context_release(context);
}
END_TEST

struct patience {
    int calls;
    int limit;
    double last;
};

static int32_t lose_patience(void *user, double part)
{
    struct patience *patience = user;
    ck_assert(part >= patience->last && part <= 1);
    patience->last = part;
    return ++patience->calls > patience->limit;
}

START_TEST(a_cancelled_decomposition_changes_nothing)
{
    sfconv_context *context = context_with_workers(1);
    float *dense = random_matrix(30, 12, 3);
    float p[360] = {7}, q[144] = {8};
    double error = 9;
    struct patience endless = {0, 1000, 0};
    const sfi_progress counted = {lose_patience, &endless};
    float all[360], kept[144];
    ck_assert_int_eq(
        sfi_decompose(context, 30, 12, dense, 5, SFI_SVD_GRAM, all, kept, &error, NULL, counted),
        SFCONV_OK);
    ck_assert_double_eq(endless.last, 1);
    error = 9;
    for (int limit = 0; limit < endless.calls; limit++) {
        struct patience patience = {0, limit, 0};
        const sfi_progress progress = {lose_patience, &patience};
        ck_assert_int_eq(
            sfi_decompose(context, 30, 12, dense, 5, SFI_SVD_GRAM, p, q, &error, NULL, progress),
            SFCONV_ERROR_CANCELLED);
        const sfi_factors factors = {30, 30, 12, dense, dense};
        patience = (struct patience){0, limit % 3, 0};
        ck_assert_int_eq(sfi_cut_rank(context, &factors, 4, p, q, &error, NULL, progress),
                         SFCONV_ERROR_CANCELLED);
        ck_assert(p[0] == 7 && q[0] == 8 && error == 9);
    }
    free(dense);
    sfi_context_release(context);
}
END_TEST

START_TEST(a_large_decomposition_asks_often)
{
    sfconv_context *context = context_with_workers(1);
    float *dense = random_matrix(260, 256, 3);
    float *p = checked_memory(260 * 2 * sizeof(float));
    float *q = checked_memory(256 * 2 * sizeof(float));
    double error;
    struct patience patience = {0, 1000, 0};
    const sfi_progress progress = {lose_patience, &patience};
    ck_assert_int_eq(
        sfi_decompose(context, 260, 256, dense, 2, SFI_SVD_GRAM, p, q, &error, NULL, progress),
        SFCONV_OK);
    ck_assert_int_ge(patience.calls, 15);
    free(dense);
    free(p);
    free(q);
    sfi_context_release(context);
}
END_TEST

/* An allocator that refuses request number `refused` and counts what is not given back. */
struct stingy {
    int requests;
    int refused;
    int held;
};

static void *stingy_allocate(void *user, size_t bytes, size_t alignment)
{
    struct stingy *stingy = user;
    if (stingy->requests++ == stingy->refused) {
        return NULL;
    }
    stingy->held++;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void stingy_release(void *user, void *memory, size_t bytes)
{
    struct stingy *stingy = user;
    (void)bytes;
    stingy->held--;
    free(memory);
}

START_TEST(every_refused_allocation_is_an_error_that_leaks_and_changes_nothing)
{
    float *dense = random_matrix(20, 8, 3);
    for (int kind = 0; kind < 3; kind++) {
        sfconv_status status = SFCONV_ERROR_MEMORY;
        int refusals = 0;
        for (; status == SFCONV_ERROR_MEMORY; refusals++) {
            struct stingy stingy = {0, -1, 0};
            sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
            sfconv_context *context;
            desc.allocate = stingy_allocate;
            desc.release = stingy_release;
            desc.memory_user = &stingy;
            ck_assert_int_eq(sfi_context_create(&context, &desc,
                                                sfk_table_for(SFCONV_ISA_REFERENCE),
                                                SFCONV_ISA_REFERENCE),
                             SFCONV_OK);
            const int held = stingy.held;
            stingy.refused = stingy.requests + refusals;
            float p[160] = {7}, q[160] = {8}, product[400];
            double error = 9;
            const sfi_factors factors = {20, 20, 8, dense, dense};
            if (kind == 0) {
                status = sfi_decompose(context, 20, 8, dense, 3, SFI_SVD_EXACT, p, q, &error, NULL,
                                       silent);
            } else if (kind == 1) {
                status = sfi_cut_rank(context, &factors, 3, p, q, &error, NULL, silent);
            } else {
                status = sfi_compose(context, 20, 20, 8, dense, dense, product);
            }
            ck_assert_int_eq(stingy.held, held);
            ck_assert(status == SFCONV_OK || (p[0] == 7 && q[0] == 8 && error == 9));
            sfi_context_release(context);
        }
        ck_assert_int_eq(status, SFCONV_OK);
        ck_assert_int_ge(refusals, 2);
    }
    free(dense);
}
END_TEST

START_TEST(compose_is_the_product)
{
    sfconv_context *context = context_with_workers(2);
    float *p = random_matrix(37, 5, 1);
    float *q = random_matrix(5, 50, 2);
    float dense[37 * 50];
    ck_assert_int_eq(sfi_compose(context, 37, 50, 5, p, q, dense), SFCONV_OK);
    ck_assert_double_le(distance_to_product(37, 50, 5, dense, p, q), 1e-5);
    p[3] = 3e38f;
    ck_assert_int_eq(sfi_compose(context, 37, 50, 5, p, q, dense), SFCONV_ERROR_NUMERIC);
    free(p);
    free(q);
    sfi_context_release(context);
}
END_TEST

/* Factors with p_rows x rank and q_cols x rank, and their product written out. */
struct pair {
    sfi_factors factors;
    float *p;
    float *qt;
    float *q;
    float *product;
};

static struct pair random_pair(sfconv_context *context, int64_t rows, int64_t cols, int64_t rank)
{
    struct pair pair;
    pair.p = random_matrix(rows, rank, 30);
    pair.qt = random_matrix(cols, rank, 31);
    pair.q = checked_memory((size_t)(cols * rank) * sizeof(float));
    pair.product = checked_memory((size_t)(rows * cols) * sizeof(float));
    pair.factors = (sfi_factors){rows, cols, rank, pair.p, pair.qt};
    sfi_transpose(cols, rank, pair.qt, pair.q);
    ck_assert_int_eq(sfi_compose(context, rows, cols, rank, pair.p, pair.q, pair.product),
                     SFCONV_OK);
    return pair;
}

static void pair_free(struct pair *pair)
{
    free(pair->p);
    free(pair->qt);
    free(pair->q);
    free(pair->product);
}

/* Cuts and returns the true relative distance between the old product and the new one. */
static double cut(sfconv_context *context, struct pair *pair, int64_t rank, double *error,
                  double *values, float *p, float *qt)
{
    const int64_t rows = pair->factors.p_rows, cols = pair->factors.q_cols;
    ck_assert_int_eq(sfi_cut_rank(context, &pair->factors, rank, p, qt, error, values, silent),
                     SFCONV_OK);
    float *q = checked_memory((size_t)(cols * rank) * sizeof(float));
    sfi_transpose(cols, rank, qt, q);
    const double distance = distance_to_product(rows, cols, rank, pair->product, p, q);
    free(q);
    return distance / norm_of(rows * cols, pair->product);
}

START_TEST(cutting_the_rank_reports_the_error_of_the_product)
{
    sfconv_context *context = context_with_workers(1);
    struct pair pair = random_pair(context, 40, 28, 9);
    float p[40 * 9], qt[28 * 9];
    for (int64_t rank = 1; rank <= 9; rank++) {
        double error;
        const double real = cut(context, &pair, rank, &error, NULL, p, qt);
        ck_assert_double_eq_tol(error, real, 5e-7);
        ck_assert(rank < 9 || error == 0);
        /* The best approximation there is: that of the dense product. */
        float dense_p[40 * 9], dense_q[28 * 9];
        double best;
        ck_assert_int_eq(sfi_decompose(context, 40, 28, pair.product, rank, SFI_SVD_EXACT, dense_p,
                                       dense_q, &best, NULL, silent),
                         SFCONV_OK);
        ck_assert_double_eq_tol(error, best, 1e-6);
    }
    pair_free(&pair);
    sfi_context_release(context);
}
END_TEST

START_TEST(rebalancing_keeps_the_product_and_shares_the_singular_values)
{
    enum { ROWS = 33, COLS = 21, RANK = 6 };
    sfconv_context *context = context_with_workers(1);
    struct pair pair = random_pair(context, ROWS, COLS, RANK);
    for (int i = 0; i < ROWS * RANK; i++) {
        pair.p[i] *= 1024;
    }
    for (int i = 0; i < COLS * RANK; i++) {
        pair.qt[i] /= 1024;
    }
    double error, values[RANK];
    ck_assert_double_le(cut(context, &pair, RANK, &error, values, pair.p, pair.qt), 1e-6);
    const float *factor[] = {pair.p, pair.qt};
    const int64_t rows[] = {ROWS, COLS};
    for (int f = 0; f < 2; f++) {
        for (int s = 0; s < RANK; s++) {
            for (int t = 0; t <= s; t++) {
                double product = 0;
                for (int64_t i = 0; i < rows[f]; i++) {
                    product += (double)factor[f][i * RANK + s] * (double)factor[f][i * RANK + t];
                }
                ck_assert_double_eq_tol(product, s == t ? values[s] : 0, 1e-5 * values[0]);
            }
        }
    }
    pair_free(&pair);
    sfi_context_release(context);
}
END_TEST

START_TEST(cutting_is_exact_for_factors_without_full_rank)
{
    enum { ROWS = 30, COLS = 18, RANK = 7 };
    for (int kind = 0; kind < 3; kind++) {
        sfconv_context *context = context_with_workers(1);
        struct pair pair = random_pair(context, ROWS, COLS, RANK);
        for (int i = 0; i < ROWS; i++) {
            pair.p[i * RANK + 4] = kind == 0 ? 0 : pair.p[i * RANK]; /* at most six directions */
            pair.p[i * RANK + 5] = kind == 2 ? 0 : pair.p[i * RANK + 5];
        }
        for (int i = 0; i < COLS; i++) {
            pair.qt[i * RANK + 2] = kind == 1 ? pair.qt[i * RANK + 1] : pair.qt[i * RANK + 2];
        }
        sfi_transpose(COLS, RANK, pair.qt, pair.q);
        ck_assert_int_eq(sfi_compose(context, ROWS, COLS, RANK, pair.p, pair.q, pair.product),
                         SFCONV_OK);
        float p[ROWS * RANK], qt[COLS * RANK];
        double error;
        ck_assert_double_le(cut(context, &pair, RANK, &error, NULL, p, qt), 1e-6);
        ck_assert_double_le(cut(context, &pair, 6, &error, NULL, p, qt), 1e-6);
        ck_assert_double_le(error, 1e-7);
        ck_assert_double_eq_tol(cut(context, &pair, 3, &error, NULL, p, qt), error, 1e-6);
        pair_free(&pair);
        sfi_context_release(context);
    }
}
END_TEST

START_TEST(cutting_refuses_wide_factors_and_bad_ranks_and_numbers)
{
    sfconv_context *context = context_with_workers(1);
    struct pair pair = random_pair(context, 5, 9, 4);
    float p[20] = {1}, qt[36];
    double error;
    ck_assert_int_eq(sfi_cut_rank(context, &pair.factors, 0, p, qt, &error, NULL, silent),
                     SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfi_cut_rank(context, &pair.factors, 5, p, qt, &error, NULL, silent),
                     SFCONV_ERROR_SHAPE);
    sfi_factors wide = pair.factors;
    wide.p_rows = 3;
    ck_assert_int_eq(sfi_cut_rank(context, &wide, 2, p, qt, &error, NULL, silent),
                     SFCONV_ERROR_SHAPE);
    pair.qt[35] = INFINITY;
    ck_assert_int_eq(sfi_cut_rank(context, &pair.factors, 2, p, qt, &error, NULL, silent),
                     SFCONV_ERROR_NUMERIC);
    ck_assert_float_eq(p[0], 1);
    pair_free(&pair);
    sfi_context_release(context);
}
END_TEST

START_TEST(huge_and_tiny_matrices_decompose_and_cut)
{
    const float scales[] = {1e-30f, 1e30f};
    sfconv_context *context = context_with_workers(1);
    for (int s = 0; s < 2; s++) {
        float *dense = random_matrix(20, 8, 4);
        float p[160], q[64], qt[64];
        double error, values[8];
        for (int i = 0; i < 160; i++) {
            dense[i] *= scales[s];
        }
        ck_assert_int_eq(
            sfi_decompose(context, 20, 8, dense, 8, SFI_SVD_GRAM, p, q, &error, NULL, silent),
            SFCONV_OK);
        ck_assert_double_le(distance_to_product(20, 8, 8, dense, p, q) / (double)scales[s], 1e-5);
        sfi_transpose(8, 8, q, qt);
        const sfi_factors factors = {20, 8, 8, p, qt};
        ck_assert_int_eq(sfi_cut_rank(context, &factors, 8, p, qt, &error, values, silent),
                         SFCONV_OK);
        sfi_transpose(8, 8, qt, q);
        ck_assert_double_le(distance_to_product(20, 8, 8, dense, p, q) / (double)scales[s], 1e-5);
        free(dense);
    }
    sfi_context_release(context);
}
END_TEST

START_TEST(unfolding_puts_each_weight_where_the_product_has_it)
{
    enum { OUT = 3, IN = 4, KH = 2, KW = 5 };
    float weight[OUT * IN * KH * KW], matrix[OUT * IN * KH * KW], back[OUT * IN * KH * KW];
    for (int i = 0; i < OUT * IN * KH * KW; i++) {
        weight[i] = (float)i;
    }
    sfi_unfold(OUT, IN, KH, KW, weight, matrix);
    for (int o = 0; o < OUT; o++) {
        for (int c = 0; c < IN; c++) {
            for (int i = 0; i < KH; i++) {
                for (int j = 0; j < KW; j++) {
                    ck_assert_float_eq(matrix[(o * KH + i) * IN * KW + c * KW + j],
                                       weight[((o * IN + c) * KH + i) * KW + j]);
                }
            }
        }
    }
    sfi_fold(OUT, IN, KH, KW, matrix, back);
    ck_assert_mem_eq(back, weight, sizeof back);

    float p[OUT * KH * 5];
    sfi_p_from_weight(OUT, 5, KH, weight, p);
    for (int o = 0; o < OUT; o++) {
        for (int i = 0; i < KH; i++) {
            for (int t = 0; t < 5; t++) {
                ck_assert_float_eq(p[(o * KH + i) * 5 + t], weight[(o * 5 + t) * KH + i]);
            }
        }
    }
    sfi_p_to_weight(OUT, 5, KH, p, back);
    ck_assert_mem_eq(back, weight, sizeof p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("factors");
    TCase *tests = tcase_create("factors");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, decompose_reports_the_error_that_the_product_has);
    tcase_add_test(tests, leading_values_alone_give_the_same_product_and_error);
    tcase_add_test(tests, decompose_hands_out_the_spectrum_and_finds_the_rank);
    tcase_add_test(tests, decompose_takes_zeros_and_refuses_what_is_not_finite);
    tcase_add_test(tests, a_cancelled_decomposition_changes_nothing);
    tcase_add_test(tests, a_large_decomposition_asks_often);
    tcase_add_test(tests, every_refused_allocation_is_an_error_that_leaks_and_changes_nothing);
    tcase_add_test(tests, compose_is_the_product);
    tcase_add_test(tests, cutting_the_rank_reports_the_error_of_the_product);
    tcase_add_test(tests, rebalancing_keeps_the_product_and_shares_the_singular_values);
    tcase_add_test(tests, cutting_is_exact_for_factors_without_full_rank);
    tcase_add_test(tests, cutting_refuses_wide_factors_and_bad_ranks_and_numbers);
    tcase_add_test(tests, huge_and_tiny_matrices_decompose_and_cut);
    tcase_add_test(tests, unfolding_puts_each_weight_where_the_product_has_it);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
