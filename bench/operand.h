// bench/operand.h - tensors for the benchmarks, on the benchmark's device. Include bench/shape_bench.h.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_BENCH_OPERAND_H
#define MO_BENCH_OPERAND_H

#include <random>

#include "bench/shape_bench.h"

// One block on the benchmark's device.
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes) { Require(mo_context_allocate(BenchContext(), bytes, &memory_)); }
  ~DeviceMemory() { mo_context_release(BenchContext(), memory_); }
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;
  char *data() const { return static_cast<char *>(memory_); }
  void Fill(size_t offset, const void *source, size_t bytes) {
    Require(mo_context_copy_to_device(BenchContext(), data() + offset, source, bytes));
    Require(mo_context_synchronize(BenchContext()));
  }

 private:
  void *memory_ = nullptr;
};

// A tensor with given values: ids, masks, labels. Its memory lives as long as it does.
template <typename T>
class DeviceTensor {
 public:
  DeviceTensor(mo_dtype_t dtype, const std::vector<T> &values, const std::vector<int64_t> &shape)
      : memory_(values.size() * sizeof(T)) {
    memory_.Fill(0, values.data(), values.size() * sizeof(T));
    Require(mo_tensor_init(&tensor_, memory_.data(), dtype, mo_context_device(BenchContext()),
                           static_cast<int32_t>(shape.size()), shape.data()));
  }
  const mo_tensor *tensor() const { return &tensor_; }
  int64_t bytes() const { return mo_tensor_bytes(&tensor_); }

 private:
  DeviceMemory memory_;
  mo_tensor tensor_;
};

// Copies of one operand with random values, used in turn, so that none is still in a cache when it is read again. total_bytes
// 0: a single one, as warm as repeated calls leave it.
class ColdOperand {
 public:
  ColdOperand(mo_dtype_t dtype, const std::vector<int64_t> &shape, size_t total_bytes = size_t{256} << 20)
      : ColdOperand(dtype, shape, {}, total_bytes) {}

  // With element strides of its own: a view of (batch, length, heads * dim) as (batch, heads, length, dim). The elements are as
  // many as without.
  ColdOperand(mo_dtype_t dtype, const std::vector<int64_t> &shape, const std::vector<int64_t> &strides, size_t total_bytes)
      : count_(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>())),
        bytes_(static_cast<size_t>(count_) * mo_dtype_bytes(dtype)),
        spacing_((bytes_ + 255) / 256 * 256),
        tensors_(Copies(total_bytes)),
        memory_(spacing_ * tensors_.size()) {
    const std::vector<char> stored = Values(dtype);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      char *data = memory_.data() + i * spacing_;
      memory_.Fill(i * spacing_, stored.data(), bytes_);
      const mo_device device = mo_context_device(BenchContext());
      const int32_t rank = static_cast<int32_t>(shape.size());
      if (strides.empty()) Require(mo_tensor_init(&tensors_[i], data, dtype, device, rank, shape.data()));
      else Require(mo_tensor_init_strided(&tensors_[i], data, dtype, device, rank, shape.data(), strides.data()));
    }
  }

  const mo_tensor *Next() { return &tensors_[next_++ % tensors_.size()]; }
  int64_t bytes() const { return static_cast<int64_t>(bytes_); }
  size_t copies() const { return tensors_.size(); }

 private:
  // A million of them again and again, a prime number so that rows differ: drawing is slower than everything else here.
  std::vector<char> Values(mo_dtype_t dtype) const {
    const size_t drawn = static_cast<size_t>(std::min<int64_t>(count_, 1000003)), element = mo_dtype_bytes(dtype);
    std::vector<char> stored(bytes_);
    std::mt19937 random(20261122);
    if (mo_dtype_is_float(dtype) || dtype == MO_DTYPE_FLOAT8_E4M3) {
      std::vector<float> values(drawn);
      std::normal_distribution<float> normal;
      for (float &value : values) value = 3 * normal(random);
      Require(mo_dtype_convert(stored.data(), dtype, values.data(), MO_DTYPE_FLOAT32, static_cast<int64_t>(drawn)));
    } else {  // 0 or 1, which every integer type holds
      std::vector<int64_t> values(drawn);
      for (int64_t &value : values) value = random() % 2;
      Require(mo_dtype_convert(stored.data(), dtype, values.data(), MO_DTYPE_INT64, static_cast<int64_t>(drawn)));
    }
    for (size_t done = drawn * element; done < bytes_; done += drawn * element) {
      memcpy(stored.data() + done, stored.data(), std::min(drawn * element, bytes_ - done));
    }
    return stored;
  }
  size_t Copies(size_t total_bytes) const {
    if (OnSimulatedDevice()) total_bytes = std::min<size_t>(total_bytes, size_t{1} << 16);
    return std::min<size_t>(1 + total_bytes / std::max<size_t>(bytes_, 1), 4096);
  }

  int64_t count_;
  size_t bytes_, spacing_;
  std::vector<mo_tensor> tensors_;
  DeviceMemory memory_;
  size_t next_ = 0;
};

#endif
