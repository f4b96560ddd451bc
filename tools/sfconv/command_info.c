/* SPDX-License-Identifier: BSD-2-Clause */
#include "console.h"
#include "fields.h"
#include "model_file.h"

#include <inttypes.h>
#include <stdlib.h>

struct facts {
    sfconv_cost cost;
    int64_t run_bytes;
    int64_t weight_bytes; /* buffers included */
};

static bool collect(struct facts *facts, const struct model_file *file, struct image_error *error)
{
    const sfconv_shape shape = model_file_shape(file);
    *facts = (struct facts){.cost = SFCONV_COST_INIT};
    for (int32_t i = 0; i < sfconv_net_parameter_count(file->net); i++) {
        sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
        if (!model_file_check(file, sfconv_net_parameter(file->net, i, &info), error)) {
            return false;
        }
        facts->weight_bytes += sfconv_view_count(&info.view) * (int64_t)sizeof(float);
    }
    return model_file_check(file, sfconv_net_cost(file->net, &shape, 1, &facts->cost), error) &&
           model_file_check(
               file,
               sfconv_net_run_bytes(file->net, SFCONV_MODE_INFERENCE, &shape, 1, &facts->run_bytes),
               error);
}

static int64_t trainable_numbers(const sfconv_layer *layer)
{
    int64_t count = 0;
    for (int32_t i = 0; i < sfconv_layer_parameter_count(layer); i++) {
        sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
        if (sfconv_layer_parameter(layer, i, &info) == SFCONV_OK && info.trainable) {
            count += sfconv_view_count(&info.view);
        }
    }
    return count;
}

static bool has_parameters(const sfconv_layer *layer)
{
    return layer && sfconv_layer_parameter_count(layer) > 0;
}

static void print_layers(const sfconv_net *net)
{
    char number[32];
    printf("%-40s %-12s %6s %14s\n", "layer", "kind", "rank", "parameters");
    for (int32_t node = 0; node < sfconv_net_node_count(net); node++) {
        const sfconv_layer *layer = sfconv_net_node_layer(net, node);
        if (!has_parameters(layer)) {
            continue;
        }
        char rank[32] = "";
        if (sfconv_sfconv2d_rank(layer) > 0) {
            snprintf(rank, sizeof rank, "%" PRId64, sfconv_sfconv2d_rank(layer));
        }
        printf("%-40s %-12s %6s %14s\n", sfconv_net_node_name(net, node), sfconv_layer_kind(layer),
               rank, console_grouped(trainable_numbers(layer), number, sizeof number));
    }
}

static void print_texts(const struct model_file *file, const struct facts *facts)
{
    char number[32];
    print_layers(file->net);
    printf("\n%s\n", file->path);
    printf("  parameters        %s\n",
           console_grouped(facts->cost.parameters, number, sizeof number));
    printf("  weights           %s bytes\n",
           console_grouped(facts->weight_bytes, number, sizeof number));
    printf("for one image of %" PRId64 "x%" PRId64 "\n", file->width, file->height);
    printf("  multiply-adds     %s (MACs)\n",
           console_grouped(facts->cost.macs, number, sizeof number));
    printf("  operations        %s (FLOPs, two for each multiply-add)\n",
           console_grouped(facts->cost.flops, number, sizeof number));
    printf("  memory of a run   %s bytes\n",
           console_grouped(facts->run_bytes, number, sizeof number));
    for (int32_t i = 0; i < sfconv_metadata_count(file->metadata); i++) {
        const char *name = sfconv_metadata_name(file->metadata, i);
        printf("%s%s: %s\n", i == 0 ? "\n" : "", name, sfconv_metadata_get(file->metadata, name));
    }
}

static void print_json(const struct model_file *file, const struct facts *facts)
{
    const char *separator = "";
    printf("{\"file\": ");
    json_text(stdout, file->path);
    printf(", \"width\": %" PRId64 ", \"height\": %" PRId64 ", \"parameters\": %" PRId64
           ", \"macs\": %" PRId64 ", \"flops\": %" PRId64 ", \"weight_bytes\": %" PRId64
           ", \"run_bytes\": %" PRId64 ",\n \"layers\": [",
           file->width, file->height, facts->cost.parameters, facts->cost.macs, facts->cost.flops,
           facts->weight_bytes, facts->run_bytes);
    for (int32_t node = 0; node < sfconv_net_node_count(file->net); node++) {
        const sfconv_layer *layer = sfconv_net_node_layer(file->net, node);
        if (!has_parameters(layer)) {
            continue;
        }
        printf("%s\n  {\"name\": ", separator);
        json_text(stdout, sfconv_net_node_name(file->net, node));
        printf(", \"kind\": \"%s\", \"rank\": %" PRId64 ", \"parameters\": %" PRId64 "}",
               sfconv_layer_kind(layer), sfconv_sfconv2d_rank(layer), trainable_numbers(layer));
        separator = ",";
    }
    printf("],\n \"metadata\": {");
    for (int32_t i = 0; i < sfconv_metadata_count(file->metadata); i++) {
        const char *name = sfconv_metadata_name(file->metadata, i);
        printf("%s\n  ", i == 0 ? "" : ",");
        json_text(stdout, name);
        printf(": ");
        json_text(stdout, sfconv_metadata_get(file->metadata, name));
    }
    printf("}}\n");
}

/* The steps as the library will execute them. */
static bool print_plan(const struct model_file *file, struct image_error *error)
{
    sfconv_run *run = NULL;
    char *text = NULL;
    size_t length = 0;
    const sfconv_shape shape = model_file_shape(file);
    bool ok =
        model_file_check(file, sfconv_run_create(&run, file->net, SFCONV_MODE_INFERENCE), error) &&
        model_file_check(file, sfconv_run_reshape(run, &shape, 1, NULL, 0), error) &&
        model_file_check(file, sfconv_run_plan_text(run, NULL, 0, &length), error);
    if (ok) {
        text = malloc(length + 1);
        ok = text || image_fail(error, "%s: out of memory for its plan", file->path);
    }
    ok = ok && model_file_check(file, sfconv_run_plan_text(run, text, length + 1, &length), error);
    if (ok) {
        printf("\n%s", text);
    }
    free(text);
    sfconv_run_destroy(run);
    return ok;
}

static bool run_info(struct arguments *arguments, struct image_error *error)
{
    struct model_file file;
    struct facts facts;
    const bool json = argument_given(arguments, "json");
    const bool plan = argument_given(arguments, "plan");
    if (json && plan) {
        return usage_fail(arguments, error, "--plan is a text: not with --json");
    }
    if (!model_file_open(&file, arguments, error)) {
        return false;
    }
    bool ok = collect(&facts, &file, error);
    if (ok && json) {
        print_json(&file, &facts);
    } else if (ok) {
        print_texts(&file, &facts);
    }
    ok = ok && (!plan || print_plan(&file, error));
    model_file_close(&file);
    return ok;
}

static const struct command_option options[] = {
    MODEL_FILE_OPTION_SIZE,
    {"plan", NULL, "the steps of a run with their shapes, MACs and bytes"},
    {"json", NULL, "one JSON object instead of tables"},
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_info = {
    .name = "info",
    .operands = "MODEL",
    .summary = "Shows what a model file holds: layers, ranks, parameters, costs, texts.",
    .details = "Convolutions and linear layers are counted; one multiply-add is one MAC and two "
               "FLOPs.\nWithout --size the size of the training is taken, or 304x304.",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run_info,
};
