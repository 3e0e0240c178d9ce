// The own kernels that stand as candidates beside cuDNN's plans for the graphs of operation_graphs.h. They
// are functions of shapes alone, as the graphs are. A nameless one is none.
#pragma once

#include "convoy/device.h"
#include "engine/backend/cuda/dnn/executable.h"
#include "engine/model/window.h"

namespace convoy::cuda {

/// For conv2d_backward_weight_graph, of one group. Preferred for few channels. (It sums in fp32, so with tf32
/// it is more exact than what was asked for.)
dnn::OwnKernel conv2d_backward_weight_kernel(const Conv2d& layer, const Shape& x, Precision precision);

/// Whether kernels/pooling.h does a max pool. (Its two directions share an index, whose meaning is cuDNN's
/// own matter, so that it is no candidate for one of the graphs: the operation does both or none by it.)
bool has_max_pool_kernel(const MaxPool2d& layer, const Shape& x);

/// Whether cuDNN may train a max pool: its index is a signed byte, which tells 128 places apart. Throws
/// UsageError for a window of more than kernels::kMaxPoolTaps, in which no index here finds its way back.
bool trains_max_pool_by_cudnn(const MaxPool2d& layer);

/// What Backend::fuses says: batch norm, ReLU and max pool become one operation unless the options say no, if
/// kernels/batch_norm_pool.h does such a pool.
bool fuses_batch_norm_pool(const DeviceOptions& options, const MaxPool2d& pool);

/// Whether it does that pool of images x.
bool has_batch_norm_pool_kernel(const MaxPool2d& pool, const Shape& x);

/// For the pool_..._graph of an AvgPool2d. Preferred for bf16, where cuDNN 9.14 gave wrong numbers on an
/// H200.
dnn::OwnKernel avg_pool_forward_kernel(const AvgPool2d& layer, const Shape& x, DType type);
dnn::OwnKernel avg_pool_backward_kernel(const AvgPool2d& layer, const Shape& x, DType type);

}  // namespace convoy::cuda
