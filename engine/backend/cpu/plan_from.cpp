#include "engine/backend/cpu/plan_from.h"

namespace convoy::cpu {
namespace {

/// The layout of the value, or of its gradient where the primitive has only that.
Layout either(const dnnl::primitive_desc_base& descriptor, dnnl::query value, dnnl::query gradient) {
  const Layout layout = descriptor.query_md(value, 0);
  return layout.get_size() != 0 ? layout : descriptor.query_md(gradient, 0);
}

}  // namespace

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

PrimitivePlan plan_from(const dnnl::primitive_desc_base& descriptor) {
  using dnnl::query;
  return {.primitive = dnnl::primitive(descriptor.get()),
          .implementation = descriptor.impl_info_str(),
          .source = either(descriptor, query::src_md, query::diff_src_md),
          .weights = either(descriptor, query::weights_md, query::diff_weights_md),
          .destination = either(descriptor, query::dst_md, query::diff_dst_md),
          .scratchpad = descriptor.scratchpad_desc()};
}

PrimitivePlan plan_reorder(const dnnl::engine& engine, const Layout& from, const Layout& to) {
  return plan_from(dnnl::reorder::primitive_desc(engine, from, engine, to, user_scratchpad()));
}

}  // namespace convoy::cpu
