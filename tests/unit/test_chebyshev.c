/* SPDX-License-Identifier: BSD-2-Clause */
#include "matrices.h"

#include "chebyshev.h"
#include "symmetric.h"

/* A symmetric matrix of mean eigenvalue 1 and the room for its functions. */
struct bench {
    int64_t n;
    double *gram;
    void *scratch;
    sfi_chebyshev series;
};

/* Σ_t values[t] basis_t basis_tᵀ */
static struct bench bench_of(int64_t n, const double *values, const double *basis)
{
    struct bench bench = {.n = n, .gram = checked_memory((size_t)(n * n) * sizeof(double))};
    int64_t bytes;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            for (int64_t t = 0; t < n; t++) {
                bench.gram[i * n + j] += basis[i * n + t] * values[t] * basis[j * n + t];
            }
        }
    }
    ck_assert(sfi_chebyshev_scratch(&bytes, n));
    bench.scratch = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    ck_assert_ptr_nonnull(bench.scratch);
    memset(bench.scratch, 0xff, (size_t)bytes);
    return bench;
}

static void bench_free(struct bench *bench)
{
    free(bench->gram);
    free(bench->scratch);
}

static bool take(struct bench *bench)
{
    return sfi_chebyshev_take(&bench->series, sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST)),
                              bench->n, bench->gram, 1, bench->scratch);
}

/* n values from `low` up, evenly, whose mean is 1. */
static void even_spectrum(int64_t n, double low, double *values)
{
    for (int64_t t = 0; t < n; t++) {
        values[t] = low + 2 * (1 - low) * (double)t / (double)(n - 1);
    }
}

static double inverse_root(double x)
{
    return 1 / sqrt(1 + x);
}

static void fit(const sfi_chebyshev *series, double (*function)(double),
                double coefficients[SFI_CHEBYSHEV_COUNT])
{
    double values[SFI_CHEBYSHEV_NODES];
    for (int32_t j = 0; j < series->nodes; j++) {
        values[j] = function(series->x[j]);
    }
    sfi_chebyshev_fit(series, values, coefficients);
}

START_TEST(a_function_of_a_matrix_is_that_of_its_eigenvalues)
{
    const int64_t sides[] = {1, 2, 15, 16, 33, 64};
    const double lows[] = {1 - 1e-12, 0.99, 0.7, 0.4, 0.25};
    for (int s = 0; s < 6; s++) {
        const int64_t n = sides[s];
        double *basis = random_basis(n, n, (uint64_t)n);
        for (int k = 0; k < 5; k++) {
            double values[64] = {1};
            double coefficients[SFI_CHEBYSHEV_COUNT];
            double mean = 0;
            if (n > 1) {
                even_spectrum(n, lows[k], values);
            }
            struct bench bench = bench_of(n, values, basis);
            const bool took = take(&bench);
            ck_assert_msg(took, "side %d, low %g", (int)n, lows[k]);
            fit(&bench.series, inverse_root, coefficients);
            const float *found = sfi_chebyshev_matrix(&bench.series, coefficients);
            for (int64_t i = 0; i < n; i++) {
                mean += 1 / sqrt(values[i]) / (double)n;
                for (int64_t j = 0; j < n; j++) {
                    double expected = 0;
                    for (int64_t t = 0; t < n; t++) {
                        expected += basis[i * n + t] * basis[j * n + t] / sqrt(values[t]);
                    }
                    ck_assert_double_eq_tol((double)found[i * sfi_symmetric_pitch(n) + j], expected,
                                            2e-6);
                    ck_assert_float_eq(found[i * sfi_symmetric_pitch(n) + j],
                                       found[j * sfi_symmetric_pitch(n) + i]);
                }
            }
            ck_assert_double_eq_tol(sfi_chebyshev_mean(&bench.series, coefficients), mean, 3e-7);
            bench_free(&bench);
        }
        free(basis);
    }
}
END_TEST

START_TEST(eigenvalues_too_far_apart_are_refused)
{
    enum { N = 40 };
    double *basis = random_basis(N, N, 2);
    const double lows[] = {0.02, 0, -0.1};
    for (int k = 0; k < 3; k++) {
        double values[N];
        even_spectrum(N, lows[k], values);
        struct bench bench = bench_of(N, values, basis);
        ck_assert(!take(&bench));
        bench_free(&bench);
    }
    free(basis);
}
END_TEST

/* The search for the ends starts from a fixed vector; an eigenvector that it does not contain stays
 * unseen by it. */
START_TEST(an_eigenvalue_that_the_search_does_not_see_is_noticed)
{
    enum { N = 40 };
    double *basis = random_basis(N, N, 3);
    double square = 0;
    double along = 0;
    double start[N];
    /* The first vector is made orthogonal to the start, the others to the first. */
    for (int i = 0; i < N; i++) {
        start[i] = sfi_random_uniform((sfi_random){0, 0}, (uint64_t)i) - 0.5;
        square += start[i] * start[i];
        along += start[i] * basis[i * N];
    }
    for (int i = 0; i < N; i++) {
        basis[i * N] -= along / square * start[i];
    }
    make_orthonormal(N, N, basis);
    for (int seen = 0; seen < 2; seen++) {
        double values[N];
        even_spectrum(N, 0.7, values);
        values[seen] = 2;
        struct bench bench = bench_of(N, values, basis);
        ck_assert_int_eq(take(&bench), seen);
        bench_free(&bench);
    }
    free(basis);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chebyshev");
    TCase *tests = tcase_create("chebyshev");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_function_of_a_matrix_is_that_of_its_eigenvalues);
    tcase_add_test(tests, eigenvalues_too_far_apart_are_refused);
    tcase_add_test(tests, an_eigenvalue_that_the_search_does_not_see_is_noticed);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
