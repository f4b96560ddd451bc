/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_transport.h"

int64_t sfi_rank_transport_bytes(const sfi_plan *plan, const sfconv_net *net,
                                 const sfi_rank_sink *sink)
{
    return sink->via == SFI_VIA_AVERAGE ? sfi_rank_average_bytes(plan, net, sink)
                                        : sfi_rank_upsample_bytes(plan, net, sink);
}

void sfi_rank_transport(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch)
{
    if (sink->via == SFI_VIA_AVERAGE) {
        sfi_rank_average(run, sink, scratch);
    } else {
        sfi_rank_upsample(run, sink, scratch);
    }
}

int64_t sfi_rank_transport_gradient_bytes(const sfi_plan *plan, const sfconv_net *net,
                                          const sfi_rank_sink *sink)
{
    return sink->via == SFI_VIA_AVERAGE ? sfi_rank_average_bytes(plan, net, sink)
                                        : sfi_rank_upsample_gradient_bytes(plan, net, sink);
}

void sfi_rank_transport_gradient(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch)
{
    if (sink->via == SFI_VIA_AVERAGE) {
        sfi_rank_average_gradient(run, sink, scratch);
    } else {
        sfi_rank_upsample_gradient(run, sink, scratch);
    }
}
