/* host/cpu/convolution_kernels.c - depthwise tiles, and lines of pixels between layouts. Compiled once per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/convolution_kernels.h"

#include "host/cpu/simd_math.h"

#define INLINE static inline __attribute__((always_inline))

/* The same panels as linear's. */
#define PANEL_VECTORS 2
#define PANEL_COLUMNS (PANEL_VECTORS * MO_VL)
#if MO_VL == 16
#define PIXELS 8
#else
#define PIXELS 4
#endif

/* ---- Depthwise ---- */

INLINE void depthwise_pixels(int pixels, mo_dtype_t dtype, int vectors, const mo_depthwise_line *line, const float *input,
                             float *product) {
  mo_vf sums[PIXELS * PANEL_VECTORS];
  for (int i = 0; i < pixels * vectors; ++i) sums[i] = mo_vf_zero();
  int64_t tap = 0;
  for (int32_t i = 0; i < line->kernel[0]; ++i) {
    for (int32_t j = 0; j < line->kernel[1]; ++j, ++tap) {
      const float *at = input + i * line->tap_strides[0] + j * line->tap_strides[1];
      mo_vf weights[PANEL_VECTORS];
      for (int v = 0; v < vectors; ++v) weights[v] = mo_vf_load_any(line->panel, dtype, tap * PANEL_COLUMNS + v * MO_VL, MO_VL);
      for (int p = 0; p < pixels; ++p) {
        for (int v = 0; v < vectors; ++v) {
          const int left = line->channels - v * MO_VL, n = left < MO_VL ? left : MO_VL;
          const mo_vf x = mo_vf_load_any(at + p * line->pixel_stride, MO_DTYPE_FLOAT32, v * MO_VL, n);
          sums[p * vectors + v] = mo_vf_fma(x, weights[v], sums[p * vectors + v]);
        }
      }
    }
  }
  for (int p = 0; p < pixels; ++p) {
    for (int v = 0; v < vectors; ++v) mo_vf_store(product + p * PANEL_COLUMNS + v * MO_VL, sums[p * vectors + v]);
  }
}

INLINE void depthwise_line(mo_dtype_t dtype, int vectors, const mo_depthwise_line *line, int64_t pixels, float *product) {
  int64_t p = 0;
  for (; p + PIXELS <= pixels; p += PIXELS)
    depthwise_pixels(PIXELS, dtype, vectors, line, line->input + p * line->pixel_stride, product + p * PANEL_COLUMNS);
  for (; p < pixels; ++p)
    depthwise_pixels(1, dtype, vectors, line, line->input + p * line->pixel_stride, product + p * PANEL_COLUMNS);
}

INLINE void depthwise_typed(mo_dtype_t dtype, const mo_depthwise_line *line, int64_t pixels, float *product) {
  if (line->channels > MO_VL) depthwise_line(dtype, 2, line, pixels, product);
  else depthwise_line(dtype, 1, line, pixels, product);
}

void MO_SIMD(mo_depthwise_line_run)(const mo_depthwise_line *line, int64_t pixels, float *product) {
  if (line->dtype == MO_DTYPE_FLOAT32) depthwise_typed(MO_DTYPE_FLOAT32, line, pixels, product);
  else if (line->dtype == MO_DTYPE_FLOAT16) depthwise_typed(MO_DTYPE_FLOAT16, line, pixels, product);
  else depthwise_typed(MO_DTYPE_BFLOAT16, line, pixels, product);
}

/* ---- Into channels last ---- */

#define BLOCK 16

INLINE float element(const void *from, mo_dtype_t dtype, int64_t index) {
  if (dtype == MO_DTYPE_FLOAT32) return ((const float *)from)[index];
  float lanes[MO_VL];
  mo_vf_store(lanes, mo_vf_load_any(from, dtype, index, 1));
  return lanes[0];
}

INLINE void channels_last(mo_dtype_t dtype, float *to, int64_t to_stride, const void *from, int64_t pixel_stride,
                          int64_t channel_stride, int64_t pixels, int64_t channels) {
  if (channel_stride == 1) {
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = 0; c < channels; c += MO_VL) {
        const int n = channels - c < MO_VL ? (int)(channels - c) : MO_VL;
        mo_vf_store_any(to + p * to_stride, MO_DTYPE_FLOAT32, c, mo_vf_load_any(from, dtype, p * pixel_stride + c, n), n);
      }
    }
    return;
  }
  for (int64_t first = 0; first < channels; first += BLOCK) {
    const int64_t last = channels - first < BLOCK ? channels : first + BLOCK;
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = first; c < last; ++c)
        to[p * to_stride + c] = element(from, dtype, p * pixel_stride + c * channel_stride);
    }
  }
}

void MO_SIMD(mo_channels_last_line)(float *to, int64_t to_stride, const void *from, mo_dtype_t dtype, int64_t pixel_stride,
                                    int64_t channel_stride, int64_t pixels, int64_t channels) {
  if (dtype == MO_DTYPE_FLOAT32)
    channels_last(MO_DTYPE_FLOAT32, to, to_stride, from, pixel_stride, channel_stride, pixels, channels);
  else if (dtype == MO_DTYPE_FLOAT16)
    channels_last(MO_DTYPE_FLOAT16, to, to_stride, from, pixel_stride, channel_stride, pixels, channels);
  else channels_last(MO_DTYPE_BFLOAT16, to, to_stride, from, pixel_stride, channel_stride, pixels, channels);
}

/* ---- Out of channels last ---- */

/* MO_VL channels of one pixel at a time: activated as a vector, stored one by one. */
INLINE void line_epilogue(mo_dtype_t dtype, const mo_line_epilogue *e, const float *product, int64_t product_stride,
                          int64_t offset, int64_t residual_offset, int64_t pixels, int64_t first_channel, int64_t channels) {
  for (int64_t c = 0; c < channels; c += MO_VL) {
    const int n = channels - c < MO_VL ? (int)(channels - c) : MO_VL;
    const mo_vf bias = e->bias != NULL ? mo_vf_load_any(e->bias, e->bias_dtype, first_channel + c, n) : mo_vf_zero();
    for (int64_t p = 0; p < pixels; ++p) {
      float lanes[MO_VL];
      const int64_t at = offset + p * e->output_strides[0] + (first_channel + c) * e->output_strides[1];
      mo_vf added = mo_vf_zero();
      if (e->residual != NULL) {
        const int64_t from = residual_offset + p * e->residual_strides[0] + (first_channel + c) * e->residual_strides[1];
        for (int i = 0; i < MO_VL; ++i)
          lanes[i] = i < n ? element(e->residual, dtype, from + i * e->residual_strides[1]) : 0.0f;
        added = mo_vf_load(lanes);
      }
      mo_vf v = mo_vf_add(mo_vf_load_any(product + p * product_stride, MO_DTYPE_FLOAT32, c, n), bias);
      if (e->residual_first && e->residual != NULL) v = mo_vf_add(v, added);
      v = mo_vf_activate(v, e->activation);
      if (!e->residual_first && e->residual != NULL) v = mo_vf_add(v, added);
      if (dtype == MO_DTYPE_FLOAT32) {
        mo_vf_store(lanes, v);
        for (int i = 0; i < n; ++i) ((float *)e->output)[at + i * e->output_strides[1]] = lanes[i];
      } else {
        uint16_t halves[MO_VL];
        mo_vf_store_any(halves, dtype, 0, v, MO_VL);
        for (int i = 0; i < n; ++i) ((uint16_t *)e->output)[at + i * e->output_strides[1]] = halves[i];
      }
    }
  }
}

void MO_SIMD(mo_line_epilogue_run)(const mo_line_epilogue *e, const float *product, int64_t product_stride, int64_t offset,
                                   int64_t residual_offset, int64_t pixels, int64_t first_channel, int64_t channels) {
  if (e->output_dtype == MO_DTYPE_FLOAT32)
    line_epilogue(MO_DTYPE_FLOAT32, e, product, product_stride, offset, residual_offset, pixels, first_channel, channels);
  else if (e->output_dtype == MO_DTYPE_FLOAT16)
    line_epilogue(MO_DTYPE_FLOAT16, e, product, product_stride, offset, residual_offset, pixels, first_channel, channels);
  else line_epilogue(MO_DTYPE_BFLOAT16, e, product, product_stride, offset, residual_offset, pixels, first_channel, channels);
}
