/* SPDX-License-Identifier: BSD-2-Clause */
/* Networks that a file describes: they come back whole, and what a file claims takes no memory that
 * its numbers do not pay for. */
#include "nets.h"
#include "scratch.h"
#include "tally.h"

#include "graph.h"
#include "safetensors_writer.h"

/* The small ones first. */
static const int32_t models[] = {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER,
                                 SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET};
#define METHODS 6
#define SMALL_CASES (2 * METHODS)
#define CASES (4 * METHODS)

static sfconv_model_desc desc_of(int index)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    desc.model = models[index / METHODS];
    desc.method = 1 + index % METHODS;
    desc.ratio = 1.0 / 32;
    desc.seed = 7;
    return desc;
}

static sfconv_net *new_model(sfconv_context *context, const sfconv_model_desc *desc)
{
    sfconv_net *net;
    ck_assert_int_eq(sfconv_model_create(&net, context, desc), SFCONV_OK);
    return net;
}

START_TEST(a_saved_network_is_built_again_with_the_same_parameters)
{
    const char *path = scratch_path("model.safetensors");
    const sfconv_model_desc desc = desc_of(_i);
    sfconv_context *context = one_worker();
    sfconv_net *net = new_model(context, &desc), *loaded;
    ck_assert_int_eq(sfconv_net_save(net, path, NULL), SFCONV_OK);
    ck_assert_int_eq(sfconv_model_load(&loaded, NULL, context, path), SFCONV_OK);
    ck_assert_uint_eq(hash_parameters(loaded), hash_parameters(net));
    sfconv_net_destroy(loaded);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* The network as a file of zeros of F16. */
static void write_halves(const char *name, const sfconv_net *net)
{
    static char header[1 << 16];
    char *end = header + sprintf(header, "{\"__metadata__\":{\"sfconv.model\":\"");
    for (const char *c = net->description; *c; c++) {
        end += sprintf(end, *c == '"' ? "\\\"" : "%c", *c);
    }
    int64_t bytes = 0;
    end += sprintf(end, "\"}");
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        const int64_t begin = bytes;
        end += sprintf(end, ",\"%s\":{\"dtype\":\"F16\",\"shape\":", info.name);
        for (int32_t axis = 0; axis < info.view.rank; axis++) {
            end += sprintf(end, "%c%lld", axis ? ',' : '[', (long long)info.view.shape[axis]);
        }
        bytes += 2 * sfconv_view_count(&info.view);
        end += sprintf(end, "],\"data_offsets\":[%lld,%lld]}", (long long)begin, (long long)bytes);
    }
    end += sprintf(end, "}");
    const uint64_t length = (uint64_t)(end - header);
    unsigned char *file = calloc(1, sizeof length + length + (size_t)bytes);
    memcpy(file, &length, sizeof length);
    memcpy(file + sizeof length, header, length);
    scratch_write(name, file, sizeof length + length + (size_t)bytes);
    free(file);
}

START_TEST(numbers_of_two_bytes_are_enough_for_a_network)
{
    const sfconv_model_desc desc = desc_of(_i);
    sfconv_context *context = one_worker();
    sfconv_net *net = new_model(context, &desc), *loaded;
    write_halves("halves.safetensors", net);
    ck_assert_msg(sfconv_model_load(&loaded, NULL, context, scratch_path("halves.safetensors")) ==
                      SFCONV_OK,
                  "%s", sfconv_context_last_error(context));
    sfconv_net_destroy(loaded);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* A file of a few numbers with this description. */
static void write_claim(sfconv_context *context, const char *description)
{
    static const float numbers[64];
    const sfi_saved_tensor tensor = {"x", 1, {64}, 64, numbers};
    sfconv_metadata *texts;
    ck_assert_int_eq(sfi_metadata_new(&texts, context), SFCONV_OK);
    ck_assert_int_eq(sfi_metadata_set(texts, "sfconv.model", description), SFCONV_OK);
    ck_assert_int_eq(sfi_file_write(context, scratch_path("claim.safetensors"), &tensor, 1, texts),
                     SFCONV_OK);
    sfi_metadata_free(texts);
}

START_TEST(a_claim_of_more_weights_than_the_file_has_numbers_is_refused_before_they_take_memory)
{
    const sfconv_model_desc desc = desc_of(_i);
    char description[512];
    tally memory = {0};
    sfconv_context *context = tally_context(&memory, 1, SFCONV_ISA_BEST);
    sfconv_net *net;
    snprintf(description, sizeof description,
             "{\"model\":\"%s\",\"method\":\"%s\",\"in_channels\":1000000,\"out_channels\":1000000,"
             "\"ratio\":0.03,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":[]}",
             sfconv_model_name(desc.model), sfconv_method_name(desc.method));
    write_claim(context, description);
    const int64_t before = tally_bytes(&memory);
    tally_take_peak(&memory);
    ck_assert_int_eq(sfconv_model_load(&net, NULL, context, scratch_path("claim.safetensors")),
                     SFCONV_ERROR_FORMAT);
    ck_assert_msg(reason_holds(context, "claim.safetensors") && reason_holds(context, "weights"),
                  "%s", sfconv_context_last_error(context));
    ck_assert_int_lt(tally_take_peak(&memory) - before, 1 << 20);
    ck_assert_int_eq(tally_bytes(&memory), before);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model files");
    TCase *tests = tcase_create("model files");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, scratch_create, scratch_destroy);
    tcase_add_loop_test(tests, a_saved_network_is_built_again_with_the_same_parameters, 0,
                        SMALL_CASES);
    tcase_add_loop_test(tests, numbers_of_two_bytes_are_enough_for_a_network, 0, SMALL_CASES);
    tcase_add_loop_test(
        tests, a_claim_of_more_weights_than_the_file_has_numbers_is_refused_before_they_take_memory,
        0, CASES);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
