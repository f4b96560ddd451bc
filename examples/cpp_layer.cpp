/* SPDX-License-Identifier: BSD-2-Clause */
/* The library from C++: handles in std::unique_ptr, errors as exceptions. */
#include <sfconv/sfconv.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

namespace
{

template <auto destroy> struct Destroy {
    template <typename Handle> void operator()(Handle *handle) const
    {
        destroy(handle);
    }
};

using Context = std::unique_ptr<sfconv_context, Destroy<sfconv_context_destroy>>;
using Layer = std::unique_ptr<sfconv_layer, Destroy<sfconv_layer_destroy>>;
using Run = std::unique_ptr<sfconv_run, Destroy<sfconv_run_destroy>>;

void check(sfconv_status status, const Context &context)
{
    if (status != SFCONV_OK) {
        throw std::runtime_error(std::string(sfconv_status_name(status)) + ": " +
                                 sfconv_context_last_error(context.get()));
    }
}

Context make_context()
{
    sfconv_context *context = nullptr;
    const sfconv_status status = sfconv_context_create(&context, nullptr);
    Context owned(context);
    check(status, owned);
    return owned;
}

Layer make_layer(const Context &context, const sfconv_sfconv2d_desc &desc)
{
    sfconv_layer *layer = nullptr;
    check(sfconv_sfconv2d_create(&layer, context.get(), &desc), context);
    return Layer(layer);
}

Run make_run(const Context &context, const Layer &layer, const sfconv_shape &shape)
{
    sfconv_run *run = nullptr;
    check(sfconv_run_create_for_layer(&run, layer.get(), &shape.channels, 1, SFCONV_MODE_INFERENCE),
          context);
    Run owned(run);
    check(sfconv_run_reshape(run, &shape, 1, nullptr, 0), context);
    return owned;
}

void demonstrate()
{
    const Context context = make_context();
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = 16;
    desc.out_channels = 32;
    desc.rank = 4;
    const Layer layer = make_layer(context, desc);
    const Run run = make_run(context, layer, {1, desc.in_channels, 24, 24});

    sfconv_view input;
    sfconv_view output;
    check(sfconv_run_input(run.get(), 0, &input), context);
    check(sfconv_run_output(run.get(), 0, &output), context);
    for (std::int64_t i = 0; i < sfconv_view_count(&input); i++) {
        input.data[i] = static_cast<float>(i % 5) - 2.0F;
    }
    check(sfconv_run_forward(run.get()), context);
    std::printf("%s of rank %lld: output %lld x %lld x %lld, first value %.4f\n",
                sfconv_layer_kind(layer.get()),
                static_cast<long long>(sfconv_sfconv2d_rank(layer.get())),
                static_cast<long long>(output.shape[1]), static_cast<long long>(output.shape[2]),
                static_cast<long long>(output.shape[3]), static_cast<double>(output.data[0]));

    desc.rank = 1000;
    try {
        make_layer(context, desc);
    } catch (const std::runtime_error &error) {
        std::printf("an error is an exception: %s\n", error.what());
    }
}

} // namespace

int main()
{
    try {
        demonstrate();
        return EXIT_SUCCESS;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return EXIT_FAILURE;
    }
}
