/* modelout/modelout.hpp - the library for C++17: objects that release themselves, failures as exceptions.
 *
 *   modelout::context context;
 *   modelout::model model(context, "checkpoint");
 *   const int64_t ids[] = {101, 7592, 102}, shape[] = {1, 3};
 *   const mo_tensor tensor = mo_tensor_cpu(const_cast<int64_t *>(ids), MO_DTYPE_INT64, 2, shape);
 *   mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
 *   inputs.input_ids = &tensor;
 *   modelout::output output = model.forward(inputs);
 *   for (const float x : output["last_hidden_state"].values<float>()) std::printf("%g\n", x);
 *
 * A thin layer, all of it in this header, over the C functions, whose headers stay the manual: structs, options and enums are
 * the C ones. It adds no rule and allocates nothing of its own. What has no method here takes get(), which every object has:
 * mo_cache_reorder(cache.get(), rows, 2), checked with modelout::check().
 *
 * OBJECTS (context, model, output, field, cache, page_pool, tokenizer) own one reference to a C object. They are moved, not
 * copied; an object that was moved from, or made with its default constructor where it has one, is empty: get() is NULL.
 * release() gives the C object away, the constructor from a pointer takes one over. Order of destruction is free, as in C:
 * objects hold their context alive. VIEWS (field_view) borrow: they are copied freely and live no longer than what they were
 * taken from.
 *
 * FAILURES throw modelout::error, which has the status and the sentence. Nothing else is thrown, but by containers of the
 * caller (tokenizer::encode). Destructors, moves and questions that cannot fail are noexcept. The library is C: an exception
 * must not leave a callback that it calls (allocators, mo_log_sink, mo_generation_callback).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_MODELOUT_HPP
#define MODELOUT_MODELOUT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <utility>

#include "modelout/modelout.h"

namespace modelout {

/* ---- Failures ---- */

/* A call that failed: its status and the sentence that names operation, value and rule. Copying it cannot fail. */
class error : public std::exception {
 public:
  error(mo_status_t status, const char *sentence) noexcept : status_(status) {
    const std::size_t length = std::strlen(sentence);
    const std::size_t kept = length < sizeof sentence_ ? length : sizeof sentence_ - 1;
    std::memcpy(sentence_, sentence, kept);
    sentence_[kept] = '\0';
  }
  mo_status_t status() const noexcept { return status_; }
  const char *what() const noexcept override { return sentence_; }

 private:
  mo_status_t status_;
  char sentence_[512];
};

/* Throws if a C function failed. */
inline void check(mo_status_t status) {
  if (status != MO_STATUS_OK) throw error(status, mo_last_error());
}

/* ---- Ownership ---- */

/* One reference to a C object. */
template <typename Object, void (*destroy)(Object *)>
class handle {
 public:
  handle() noexcept = default;
  explicit handle(Object *object) noexcept : object_(object) {}
  handle(handle &&other) noexcept : object_(other.release()) {}
  handle &operator=(handle &&other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  handle(const handle &) = delete;
  handle &operator=(const handle &) = delete;
  ~handle() { reset(nullptr); }

  Object *get() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  /* Gives the object to the caller. */
  Object *release() noexcept { return std::exchange(object_, nullptr); }
  /* Takes another one over. */
  void reset(Object *object = nullptr) noexcept {
    Object *old = std::exchange(object_, object);
    if (old != nullptr) destroy(old);
  }

 private:
  Object *object_ = nullptr;
};

/* ---- Context ---- */

class context : public handle<mo_context_t, mo_context_destroy> {
 public:
  using handle::handle;
  explicit context(const mo_context_options &options = MO_CONTEXT_OPTIONS_INIT) {
    mo_context_t *made = nullptr;
    check(mo_context_create(&options, &made));
    reset(made);
  }
  mo_device device() const noexcept { return mo_context_device(get()); }
  const char *backend_name() const noexcept { return mo_context_backend_name(get()); }
  const char *choice_reason() const noexcept { return mo_context_choice_reason(get()); }
  std::int32_t thread_count() const noexcept { return mo_context_thread_count(get()); }
  mo_stream stream() const noexcept { return mo_context_stream(get()); }
  mo_context_counters counters() const noexcept { return mo_context_get_counters(get()); }
  void synchronize() const { check(mo_context_synchronize(get())); }
  void reserve(std::size_t bytes) const { check(mo_context_reserve(get(), bytes)); }
  void trim() const noexcept { mo_context_trim(get()); }
};

/* ---- Fields ---- */

/* The dtype of a C++ type. The 16-bit floats have none: read_float32() converts them. */
template <typename Element>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr mo_dtype_t value = MO_DTYPE_FLOAT32;
};
template <>
struct dtype_of<std::int8_t> {
  static constexpr mo_dtype_t value = MO_DTYPE_INT8;
};
template <>
struct dtype_of<std::uint8_t> {
  static constexpr mo_dtype_t value = MO_DTYPE_UINT8;
};
template <>
struct dtype_of<std::int32_t> {
  static constexpr mo_dtype_t value = MO_DTYPE_INT32;
};
template <>
struct dtype_of<std::int64_t> {
  static constexpr mo_dtype_t value = MO_DTYPE_INT64;
};
template <>
struct dtype_of<bool> {
  static constexpr mo_dtype_t value = MO_DTYPE_BOOL;
};

/* Elements of a tensor field on the host, one after the other. Valid as long as the field. */
template <typename Element>
class elements {
 public:
  explicit elements(const mo_host_view &view) : view_(view) {
    if (view.dtype != dtype_of<Element>::value) throw error(MO_STATUS_TYPE_ERROR, "values: the field has another dtype");
    std::int64_t stride = 1;
    for (std::int32_t i = view.rank - 1; i >= 0; --i) {
      if (view.shape[i] != 1 && view.strides[i] != stride) gap_ = true;
      stride *= view.shape[i];
    }
    count_ = static_cast<std::size_t>(stride);
    if (gap_ && count_ > 0) throw error(MO_STATUS_UNSUPPORTED, "values: the field is no contiguous tensor, use read()");
  }
  const Element *data() const noexcept { return static_cast<const Element *>(view_.data); }
  std::size_t size() const noexcept { return count_; }
  const Element *begin() const noexcept { return data(); }
  const Element *end() const noexcept { return count_ > 0 ? data() + count_ : data(); }
  const Element &operator[](std::size_t index) const noexcept { return data()[index]; }
  std::int32_t rank() const noexcept { return view_.rank; }
  std::int64_t extent(std::int32_t dimension) const noexcept { return view_.shape[dimension]; }
  const mo_host_view &view() const noexcept { return view_; }

 private:
  mo_host_view view_;
  std::size_t count_ = 0;
  bool gap_ = false;
};

/* A field that belongs to somebody else; false is None. */
class field_view {
 public:
  field_view(mo_field *field = nullptr) noexcept : field_(field) {}
  mo_field *get() const noexcept { return field_; }
  explicit operator bool() const noexcept { return field_ != nullptr; }
  mo_field_kind_t kind() const noexcept { return mo_field_kind(field_); }

  /* Entries of tuples, caches and dicts; None where there is none. */
  std::int64_t length() const noexcept { return mo_field_length(field_); }
  field_view operator[](std::int64_t index) const noexcept { return mo_field_item(field_, index); }
  field_view operator[](int index) const noexcept { return mo_field_item(field_, index); }
  field_view operator[](const char *key) const noexcept { return mo_field_item_by_key(field_, key); }

  /* The tensor on the device; NULL if the field is none. */
  const mo_tensor *tensor() const noexcept { return mo_field_tensor(field_); }

  /* On the host: the whole, or the part that slices select. */
  mo_host_view read() const {
    mo_host_view view;
    check(mo_field_read(field_, &view));
    return view;
  }
  mo_host_view read(std::initializer_list<mo_slice> slices) const {
    mo_host_view view;
    check(mo_field_read_slice(field_, slices.begin(), static_cast<std::int32_t>(slices.size()), &view));
    return view;
  }
  template <typename Element>
  elements<Element> values() const {
    return elements<Element>(read());
  }
  template <typename Element>
  elements<Element> values(std::initializer_list<mo_slice> slices) const {
    return elements<Element>(read(slices));
  }
  /* Converted, into memory of the caller's. */
  void read_float32(float *destination, std::int64_t count, std::initializer_list<mo_slice> slices = {}) const {
    check(mo_field_read_float32(field_, slices.begin(), static_cast<std::int32_t>(slices.size()), destination, count));
  }
  void prefetch() const { check(mo_field_prefetch(field_)); }
  bool is_ready() const noexcept { return mo_field_is_ready(field_); }

  std::int64_t integer() const noexcept { return mo_field_integer(field_); }
  double real() const noexcept { return mo_field_real(field_); }
  const char *string() const noexcept { return mo_field_string(field_); }

 private:
  mo_field *field_;
};

/* A reference to a field: keeps it, and the output it lies in, alive. */
class field : public handle<mo_field, mo_field_release> {
 public:
  using handle::handle;
  explicit field(field_view other) noexcept : handle(mo_field_retain(other.get())) {}
  /* Wraps a tensor of the caller's; see mo_field_create_tensor. */
  field(const context &on, const mo_tensor &tensor, mo_release_function release_memory = nullptr, void *user_data = nullptr) {
    mo_field *made = nullptr;
    check(mo_field_create_tensor(on.get(), &tensor, release_memory, user_data, &made));
    reset(made);
  }
  operator field_view() const noexcept { return get(); }
  const field_view view() const noexcept { return get(); }
};

/* ---- Outputs ---- */

/* A key of an output and its value. */
struct item {
  const char *key;
  field_view value;
};

class output : public handle<mo_output, mo_output_destroy> {
 public:
  using handle::handle;
  /* From a class by name and keyword arguments: output(context, "BaseModelOutput", {{"last_hidden_state", field.get()}}). */
  output(const context &on, const char *class_name, std::initializer_list<mo_item> fields) {
    mo_output *made = nullptr;
    const mo_class *output_class = mo_class_find(class_name);
    if (output_class == nullptr) throw error(MO_STATUS_KEY_ERROR, "output: there is no class of that name");
    check(
        mo_output_create_from_fields(on.get(), output_class, fields.begin(), static_cast<std::int64_t>(fields.size()), &made));
    reset(made);
  }
  /* What save() wrote. */
  static output load(const context &on, const char *path) {
    mo_output *made = nullptr;
    check(mo_output_load(on.get(), path, &made));
    return output(made);
  }
  void save(const char *path, const char *prefix = nullptr) const { check(mo_output_save(get(), path, prefix)); }

  const mo_class &output_class() const noexcept { return *get()->output_class; }
  /* The typed struct: output.as<mo_masked_lm_output>().logits. TYPE_ERROR for one that cannot be this class's. */
  template <typename Struct>
  const Struct &as() const {
    if (sizeof(Struct) != output_class().struct_bytes)
      throw error(MO_STATUS_TYPE_ERROR, "output: the struct is another class's");
    return *reinterpret_cast<const Struct *>(get());
  }

  /* By key: KEY_ERROR if it is absent; get_field gives None instead. By position: INDEX_ERROR. */
  field_view operator[](const char *key) const {
    mo_field *found = nullptr;
    check(mo_output_item(get(), key, &found));
    return found;
  }
  field_view operator[](std::int64_t index) const {
    mo_field *found = nullptr;
    check(mo_output_item_at(get(), index, &found));
    return found;
  }
  field_view operator[](int index) const { return (*this)[static_cast<std::int64_t>(index)]; }
  field_view get_field(const char *key) const noexcept { return mo_output_get(get(), key); }
  bool contains(const char *key) const noexcept { return mo_output_contains(get(), key); }
  std::int64_t length() const noexcept { return mo_output_length(get()); }

  void set(const char *key, field_view value) const { check(mo_output_set_item(get(), key, value.get())); }
  void mark_written(mo_stream stream) const { check(mo_output_mark_written(get(), stream)); }
  void synchronize() const { check(mo_output_synchronize(get())); }

  /* for (const modelout::item entry : output), in the order of the keys. */
  class iterator {
   public:
    iterator(const mo_output *output, std::int64_t position) noexcept : output_(output), position_(position) {}
    item operator*() const noexcept { return {mo_output_key_at(output_, position_), mo_output_at(output_, position_)}; }
    iterator &operator++() noexcept {
      ++position_;
      return *this;
    }
    bool operator!=(const iterator &other) const noexcept { return position_ != other.position_; }

   private:
    const mo_output *output_;
    std::int64_t position_;
  };
  iterator begin() const noexcept { return {get(), 0}; }
  iterator end() const noexcept { return {get(), length()}; }
};

/* ---- Caches ---- */

class page_pool : public handle<mo_page_pool_t, mo_page_pool_release> {
 public:
  using handle::handle;
  page_pool(const context &on, const mo_page_pool_options &options) {
    mo_page_pool_t *made = nullptr;
    check(mo_page_pool_create(on.get(), &options, &made));
    reset(made);
  }
  std::int64_t free_pages() const noexcept { return mo_page_pool_free_pages(get()); }
};

class cache : public handle<mo_cache_t, mo_cache_release> {
 public:
  using handle::handle;
  cache(const context &on, const mo_cache_options &options) {
    mo_cache_t *made = nullptr;
    check(mo_cache_create(on.get(), &options, &made));
    reset(made);
  }
  /* Another reference to the same cache. */
  cache share() const noexcept { return cache(mo_cache_retain(get())); }
  /* Another cache with the same content. */
  cache copy() const {
    mo_cache_t *made = nullptr;
    check(mo_cache_copy(get(), &made));
    return cache(made);
  }
  mo_cache_kind_t kind() const noexcept { return mo_cache_kind(get()); }
  std::int64_t layer_count() const noexcept { return mo_cache_layer_count(get()); }
  std::int64_t length(std::int64_t layer = 0) const noexcept { return mo_cache_length(get(), layer); }
  std::int64_t batch_size() const noexcept { return mo_cache_batch_size(get()); }
  void reserve(std::int64_t count) const { check(mo_cache_reserve(get(), count)); }
  void crop(std::int64_t count) const { check(mo_cache_crop(get(), count)); }
  void reorder(const std::int64_t *rows, std::int64_t count) const { check(mo_cache_reorder(get(), rows, count)); }
  void reset_tokens() const { check(mo_cache_reset(get())); }
  /* As past_key_values of an output. */
  field as_field(mo_framework_t framework = MO_FRAMEWORK_PT) const {
    mo_field *made = nullptr;
    check(mo_cache_field(get(), framework, &made));
    return field(made);
  }
};

/* ---- Models ---- */

class model : public handle<mo_model_t, mo_model_destroy> {
 public:
  using handle::handle;
  model(const context &on, const char *directory, const mo_model_options &options = MO_MODEL_OPTIONS_INIT) {
    mo_model_t *made = nullptr;
    check(mo_model_load(on.get(), directory, &options, &made));
    reset(made);
  }
  const char *architecture() const noexcept { return mo_model_architecture(get()); }
  const mo_class &output_class() const noexcept { return *mo_model_output_class(get()); }
  std::int64_t parameter_count() const noexcept { return mo_model_parameter_count(get()); }
  /* -1 if config.json has no integer of that name. */
  std::int64_t config_integer(const char *name) const noexcept { return mo_model_config_integer(get(), name); }

  /* The forward pass, at once or (for outputs that are used again) in two steps. */
  output forward(const mo_model_inputs &inputs, const mo_request &request = MO_REQUEST_INIT) const {
    mo_output *made = nullptr;
    check(mo_model_forward(get(), &inputs, &request, &made));
    return output(made);
  }
  output create_output(const mo_model_inputs &inputs, const mo_request &request = MO_REQUEST_INIT) const {
    mo_output *made = nullptr;
    check(mo_model_create_output(get(), &inputs, &request, &made));
    return output(made);
  }
  void run(const mo_model_inputs &inputs, const mo_request &request, const output &into) const {
    check(mo_model_run(get(), &inputs, &request, into.get()));
  }
  output generate(const mo_model_inputs &inputs, const mo_generation_options &options = MO_GENERATION_OPTIONS_INIT) const {
    mo_output *made = nullptr;
    check(mo_generate(get(), &inputs, &options, &made));
    return output(made);
  }
  cache create_cache(std::int64_t batch_size = 0, std::int64_t max_length = 0) const {
    mo_cache_t *made = nullptr;
    check(mo_model_create_cache(get(), nullptr, batch_size, max_length, &made));
    return cache(made);
  }
  cache create_cache(const mo_cache_options &options, std::int64_t batch_size = 0, std::int64_t max_length = 0) const {
    mo_cache_t *made = nullptr;
    check(mo_model_create_cache(get(), &options, batch_size, max_length, &made));
    return cache(made);
  }
};

/* ---- Text ---- */

class tokenizer : public handle<mo_tokenizer_t, mo_tokenizer_destroy> {
 public:
  using handle::handle;
  explicit tokenizer(const char *directory) {
    mo_tokenizer_t *made = nullptr;
    check(mo_tokenizer_load(directory, &made));
    reset(made);
  }
  std::int32_t vocab_size() const noexcept { return mo_tokenizer_vocab_size(get()); }
  std::int32_t id(const char *token) const noexcept { return mo_tokenizer_id(get(), token); }
  const char *token(std::int32_t token_id) const noexcept { return mo_tokenizer_token(get(), token_id); }

  /* Into a container of std::int32_t that is resized to what comes out (std::vector, or one with an allocator of the caller's).
   */
  template <typename Ids>
  void encode(const char *text, Ids &ids, const mo_encode_options &options = MO_ENCODE_OPTIONS_INIT) const {
    std::int64_t count = 0;
    check(mo_tokenizer_encode(get(), text, &options, nullptr, nullptr, 0, &count));
    ids.resize(static_cast<std::size_t>(count));
    check(mo_tokenizer_encode(get(), text, &options, ids.data(), nullptr, count, &count));
  }
};

}  // namespace modelout
#endif
