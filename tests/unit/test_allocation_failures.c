/* SPDX-License-Identifier: BSD-2-Clause */
/* Every call that takes memory, with each of its requests refused in turn: the call says so, gives
 * nothing back, leaks nothing and leaves what exists as it was; the next attempt succeeds. */
#include "refusals.h"

#include <stdio.h>

static void no_destroy(void *made)
{
    (void)made;
}

#define DESTROYER(object)                                                                          \
    static void destroy_##object(void *made)                                                       \
    {                                                                                              \
        sfconv_##object##_destroy(made);                                                           \
    }
DESTROYER(context)
DESTROYER(layer)
DESTROYER(net)
DESTROYER(run)
DESTROYER(optimizer)
DESTROYER(schedule)
DESTROYER(average)
DESTROYER(confusion)
DESTROYER(metadata)

/* --- The calls --- */

static sfconv_status make_context(stage *s, void **made)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    desc.allocate = tally_allocate;
    desc.release = tally_release;
    desc.memory_user = &s->memory;
    desc.workers = 3;
    return sfconv_context_create((sfconv_context **)made, &desc);
}

static sfconv_status make_conv2d(stage *s, void **made)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    desc.in_channels = desc.out_channels = CHANNELS;
    desc.has_bias = 1;
    return sfconv_conv2d_create((sfconv_layer **)made, s->context, &desc);
}

static sfconv_status make_dsconv2d(stage *s, void **made)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    desc.in_channels = desc.out_channels = CHANNELS;
    desc.has_bias = 1;
    return sfconv_dsconv2d_create((sfconv_layer **)made, s->context, &desc);
}

static sfconv_status make_sfconv2d(stage *s, void **made)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = desc.out_channels = CHANNELS;
    desc.rank = 3;
    desc.has_bias = 1;
    desc.initialization = SFCONV_INITIALIZATION_SPECTRAL;
    desc.spectral_norm = 1;
    return sfconv_sfconv2d_create((sfconv_layer **)made, s->context, &desc);
}

static sfconv_status make_batchnorm2d(stage *s, void **made)
{
    sfconv_batchnorm2d_desc desc = SFCONV_BATCHNORM2D_DESC_INIT;
    desc.channels = CHANNELS;
    return sfconv_batchnorm2d_create((sfconv_layer **)made, s->context, &desc);
}

static sfconv_status make_activation(stage *s, void **made)
{
    return sfconv_activation_create((sfconv_layer **)made, s->context, SFCONV_ACTIVATION_SILU, 0);
}

static sfconv_status make_pool2d(stage *s, void **made)
{
    const sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    return sfconv_pool2d_create((sfconv_layer **)made, s->context, &desc);
}

static sfconv_status make_upsample2d(stage *s, void **made)
{
    const int64_t factor[2] = {2, 2};
    return sfconv_upsample2d_create((sfconv_layer **)made, s->context, SFCONV_UPSAMPLE_BILINEAR,
                                    factor);
}

static sfconv_status make_linear(stage *s, void **made)
{
    sfconv_linear_desc desc = SFCONV_LINEAR_DESC_INIT;
    desc.in_features = desc.out_features = 5;
    return sfconv_linear_create((sfconv_layer **)made, s->context, &desc);
}

static sfconv_status make_dropout(stage *s, void **made)
{
    return sfconv_dropout_create((sfconv_layer **)made, s->context, 0.5);
}

static sfconv_status make_add(stage *s, void **made)
{
    return sfconv_add_create((sfconv_layer **)made, s->context);
}

static sfconv_status make_concat(stage *s, void **made)
{
    return sfconv_concat_create((sfconv_layer **)made, s->context);
}

static sfconv_status make_net(stage *s, void **made)
{
    return sfconv_net_create((sfconv_net **)made, s->context);
}

/* A net of 20 nodes, so that each of its tables grows; on failure it stays what it was. */
static sfconv_status grow_net(stage *s, void **made)
{
    static const int32_t inputs[] = {0, 0};
    sfconv_net *net;
    int32_t node;
    sfconv_status status = sfconv_net_create(&net, s->context);
    if (status < 0) {
        return status;
    }
    for (int i = 0; status >= 0 && i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "input%d", i);
        const int32_t nodes = sfconv_net_node_count(net);
        status = sfconv_net_add_input(net, name, CHANNELS, &node);
        ck_assert_int_eq(sfconv_net_node_count(net), nodes + (status >= 0));
        ck_assert_int_eq(sfconv_net_input_count(net), nodes - i + (status >= 0));
        if (status < 0) {
            break;
        }
        snprintf(name, sizeof name, "layer%d", i);
        const int32_t parameters = sfconv_net_parameter_count(net);
        status = sfconv_net_add_layer(net, name, i ? s->factorized : s->dense, inputs, 1, &node);
        ck_assert(status >= 0 || sfconv_net_parameter_count(net) == parameters);
        ck_assert_int_eq(sfconv_net_node_count(net), nodes + 1 + (status >= 0));
        if (status >= 0) {
            status = sfconv_net_add_output(net, node);
            ck_assert_int_eq(sfconv_net_output_count(net), i + (status >= 0));
        }
    }
    if (status < 0) {
        sfconv_net_destroy(net);
        return status;
    }
    *made = net;
    return SFCONV_OK;
}

static sfconv_status make_run(stage *s, void **made)
{
    return sfconv_run_create((sfconv_run **)made, s->net, SFCONV_MODE_TRAINING);
}

static sfconv_status make_layer_run(stage *s, void **made)
{
    const int64_t channels = CHANNELS;
    return sfconv_run_create_for_layer((sfconv_run **)made, s->dense, &channels, 1,
                                       SFCONV_MODE_INFERENCE);
}

static sfconv_status reshape(stage *s, void **made)
{
    const sfconv_shape shape = map_shape(2, 9);
    (void)made;
    return sfconv_run_reshape(s->run, &shape, 1, NULL, 0);
}

static sfconv_status ask_bytes(stage *s, void **made)
{
    const sfconv_shape shape = map_shape(2, 9);
    int64_t bytes = 0;
    (void)made;
    return sfconv_net_run_bytes(s->net, SFCONV_MODE_TRAINING, &shape, 1, &bytes);
}

static sfconv_status ask_cost(stage *s, void **made)
{
    const sfconv_shape shape = map_shape(2, 9);
    sfconv_cost cost = SFCONV_COST_INIT;
    (void)made;
    return sfconv_net_cost(s->net, &shape, 1, &cost);
}

static sfconv_status make_model(stage *s, void **made, int32_t model, int32_t method)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    desc.model = model;
    desc.method = method;
    return sfconv_model_create((sfconv_net **)made, s->context, &desc);
}

static sfconv_status make_segmenter(stage *s, void **made)
{
    return make_model(s, made, SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_FCONVSN);
}

static sfconv_status make_classifier(stage *s, void **made)
{
    return make_model(s, made, SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_METHOD_DPCCONV);
}

static sfconv_status make_optimizer(stage *s, void **made)
{
    sfconv_optimizer_desc desc = SFCONV_OPTIMIZER_DESC_INIT;
    desc.kind = SFCONV_OPTIMIZER_ADAM;
    return sfconv_optimizer_create((sfconv_optimizer **)made, s->net, &desc);
}

static sfconv_status make_schedule(stage *s, void **made)
{
    return sfconv_schedule_create((sfconv_schedule **)made, s->context, NULL);
}

static sfconv_status make_average(stage *s, void **made)
{
    return sfconv_average_create((sfconv_average **)made, s->net, 0.5);
}

static sfconv_status make_confusion(stage *s, void **made)
{
    return sfconv_confusion_create((sfconv_confusion **)made, s->context, 5);
}

static sfconv_status ask_auc(stage *s, void **made)
{
    double value;
    s->labels[3] = 1;
    (void)made;
    return sfconv_metric_auc(s->context, s->numbers, s->labels, 16, &value);
}

static sfconv_status cross_entropy(stage *s, void **made)
{
    double value;
    (void)made;
    memset(s->labels, 0, sizeof s->labels);
    return sfconv_loss_cross_entropy(s->context, &s->logits, s->labels, NULL, &value, &s->gradient);
}

static sfconv_status svd_update(stage *s, void **made)
{
    (void)made;
    return sfconv_layer_svd_update(s->factorized, SFCONV_SVD_GRAM);
}

static sfconv_status svd_update_exactly(stage *s, void **made)
{
    (void)made;
    return sfconv_layer_svd_update(s->factorized, SFCONV_SVD_EXACT);
}

static sfconv_status singular_values(stage *s, void **made)
{
    double values[8];
    int64_t count;
    (void)made;
    return sfconv_layer_singular_values(s->factorized, SFCONV_FACTOR_PRODUCT, values, 8, &count);
}

static sfconv_status regularizer_value(stage *s, void **made)
{
    double value;
    (void)made;
    return sfconv_layer_regularizer(s->factorized, SFCONV_SVD_GRAM, &value);
}

static sfconv_status compose(stage *s, void **made)
{
    return sfconv_layer_compose((sfconv_layer **)made, s->normalized);
}

static sfconv_status decompose(stage *s, void **made)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    double error;
    desc.rank = 2;
    desc.spectral_norm = 1;
    return sfconv_layer_decompose((sfconv_layer **)made, s->dense, &desc, &error, NULL, NULL);
}

static sfconv_status rebalance(stage *s, void **made)
{
    (void)made;
    return sfconv_layer_rebalance(s->factorized);
}

static sfconv_status cut_rank(stage *s, void **made)
{
    double error;
    return sfconv_layer_cut_rank((sfconv_layer **)made, s->normalized, 2, &error);
}

static sfconv_status choose_ranks(stage *s, void **made)
{
    const sfconv_layer *const layers[] = {s->dense, s->factorized};
    int64_t ranks[2];
    (void)made;
    return sfconv_choose_ranks(ranks, layers, 2, SFCONV_BUDGET_ENERGY, 0.9, NULL, NULL, NULL);
}

static sfconv_status kl(stage *s, void **made)
{
    const int64_t shape[] = {8, 4};
    sfconv_view matrix, gradient;
    double value;
    (void)made;
    memset(s->more, 0, sizeof s->more);
    sfconv_view_init(&matrix, s->numbers, 2, shape);
    sfconv_view_init(&gradient, s->more, 2, shape);
    return sfconv_kl(s->context, &matrix, SFCONV_REGULARIZER_KL, SFCONV_SVD_GRAM, 1.0, &value,
                     &gradient);
}

static sfconv_status initialize_layer(stage *s, void **made)
{
    (void)made;
    return sfconv_layer_initialize(s->normalized, 5);
}

static sfconv_status initialize_net(stage *s, void **made)
{
    (void)made;
    return sfconv_net_initialize(s->net, 5);
}

static sfconv_status make_metadata(stage *s, void **made)
{
    return sfconv_metadata_create((sfconv_metadata **)made, s->context);
}

static sfconv_status set_metadata(stage *s, void **made)
{
    (void)made;
    return sfconv_metadata_set(s->metadata, "name", "another value");
}

static sfconv_status save_net(stage *s, void **made)
{
    (void)made;
    return sfconv_net_save(s->net, scratch_path("other.safetensors"), s->metadata);
}

static sfconv_status load_net(stage *s, void **made)
{
    (void)made;
    return sfconv_net_load(s->net, scratch_path("net.safetensors"), 0, NULL, NULL);
}

static sfconv_status load_model(stage *s, void **made)
{
    sfconv_metadata *metadata = (sfconv_metadata *)s;
    const sfconv_status status = sfconv_model_load((sfconv_net **)made, &metadata, s->context,
                                                   scratch_path("model.safetensors"));
    ck_assert(status >= 0 || metadata == NULL);
    if (status >= 0) {
        sfconv_metadata_destroy(metadata);
    }
    return status;
}

static sfconv_checkpoint checkpoint_of(const stage *s)
{
    return (sfconv_checkpoint){sizeof(sfconv_checkpoint),
                               s->net,
                               s->optimizer,
                               s->schedule,
                               s->average,
                               s->run,
                               s->metadata};
}

static sfconv_status save_checkpoint(stage *s, void **made)
{
    const sfconv_checkpoint checkpoint = checkpoint_of(s);
    (void)made;
    return sfconv_checkpoint_save(&checkpoint, scratch_path("other.safetensors"));
}

static sfconv_status load_checkpoint(stage *s, void **made)
{
    const sfconv_checkpoint checkpoint = checkpoint_of(s);
    (void)made;
    return sfconv_checkpoint_load(&checkpoint, scratch_path("checkpoint.safetensors"));
}

typedef struct call {
    const char *name;
    attempt_fn attempt;
    destroy_fn destroy;
    /* A call that takes no memory at all would make its sweep empty. */
    int64_t least_requests;
} call;

static const call calls[] = {
    {"context_create", make_context, destroy_context, 2},
    {"conv2d_create", make_conv2d, destroy_layer, 3},
    {"dsconv2d_create", make_dsconv2d, destroy_layer, 4},
    {"sfconv2d_create", make_sfconv2d, destroy_layer, 6},
    {"batchnorm2d_create", make_batchnorm2d, destroy_layer, 5},
    {"activation_create", make_activation, destroy_layer, 1},
    {"pool2d_create", make_pool2d, destroy_layer, 1},
    {"upsample2d_create", make_upsample2d, destroy_layer, 1},
    {"linear_create", make_linear, destroy_layer, 3},
    {"dropout_create", make_dropout, destroy_layer, 1},
    {"add_create", make_add, destroy_layer, 1},
    {"concat_create", make_concat, destroy_layer, 1},
    {"net_create", make_net, destroy_net, 1},
    {"net_add_…", grow_net, destroy_net, 30},
    {"run_create", make_run, destroy_run, 8},
    {"run_create_for_layer", make_layer_run, destroy_run, 15},
    {"run_reshape", reshape, no_destroy, 1},
    {"net_run_bytes", ask_bytes, no_destroy, 3},
    {"net_cost", ask_cost, no_destroy, 3},
    {"model_create, segmenter", make_segmenter, destroy_net, 100},
    {"model_create, classifier", make_classifier, destroy_net, 100},
    {"optimizer_create", make_optimizer, destroy_optimizer, 4},
    {"schedule_create", make_schedule, destroy_schedule, 1},
    {"average_create", make_average, destroy_average, 4},
    {"confusion_create", make_confusion, destroy_confusion, 2},
    {"metric_auc", ask_auc, no_destroy, 1},
    {"loss_cross_entropy", cross_entropy, no_destroy, 0},
    {"layer_svd_update", svd_update, no_destroy, 4},
    {"layer_svd_update, exact", svd_update_exactly, no_destroy, 4},
    {"layer_singular_values", singular_values, no_destroy, 1},
    {"layer_regularizer", regularizer_value, no_destroy, 1},
    {"layer_compose", compose, destroy_layer, 3},
    {"layer_decompose", decompose, destroy_layer, 3},
    {"layer_cut_rank", cut_rank, destroy_layer, 3},
    {"choose_ranks", choose_ranks, no_destroy, 2},
    {"kl", kl, no_destroy, 1},
    {"metadata_create", make_metadata, destroy_metadata, 1},
    {"metadata_set", set_metadata, no_destroy, 1},
    {"net_save", save_net, no_destroy, 1},
    {"net_load", load_net, no_destroy, 1},
    {"model_load", load_model, destroy_net, 100},
    {"checkpoint_save", save_checkpoint, no_destroy, 1},
    {"checkpoint_load", load_checkpoint, no_destroy, 1},
    /* These change parameters when they succeed, so they come last. */
    {"layer_rebalance", rebalance, no_destroy, 1},
    {"layer_initialize", initialize_layer, no_destroy, 1},
    {"net_initialize", initialize_net, no_destroy, 1},
};

#define CALL_COUNT ((int)(sizeof calls / sizeof *calls))

START_TEST(a_refused_request_for_memory_fails_the_call_and_nothing_else)
{
    const call *swept = &calls[_i];
    stage s;
    open_stage(&s);
    if (swept->attempt == load_model) {
        void *model;
        ck_assert_int_eq(make_segmenter(&s, &model), SFCONV_OK);
        ck_assert_int_eq(sfconv_net_save(model, scratch_path("model.safetensors"), s.metadata),
                         SFCONV_OK);
        sfconv_net_destroy(model);
    }
    sweep(swept->name, &s, swept->attempt, swept->destroy, swept->least_requests);
    close_stage(&s);
}
END_TEST

START_TEST(a_refused_save_leaves_the_file_as_it_was_and_no_other_behind)
{
    stage s;
    unsigned char before[65536], after[65536];
    open_stage(&s);
    const size_t size = scratch_read("net.safetensors", before, sizeof before);
    tally_refuse(&s.memory, 1);
    ck_assert_int_eq(sfconv_net_save(s.net, scratch_path("net.safetensors"), NULL),
                     SFCONV_ERROR_MEMORY);
    tally_refuse(&s.memory, 0);
    ck_assert_uint_eq(scratch_read("net.safetensors", after, sizeof after), size);
    ck_assert_mem_eq(before, after, size);
    close_stage(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation failures");
    TCase *tests = tcase_create("allocation failures");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, scratch_create, scratch_destroy);
    tcase_add_loop_test(tests, a_refused_request_for_memory_fails_the_call_and_nothing_else, 0,
                        CALL_COUNT);
    tcase_add_test(tests, a_refused_save_leaves_the_file_as_it_was_and_no_other_behind);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
