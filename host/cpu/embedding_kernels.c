/* host/cpu/embedding_kernels.c - gathered rows summed and normalised. Compiled once per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/norm_kernels.h"
#include "host/cpu/norm_row.h"

/* Word rows lie scattered over a table far larger than the caches: the next one is asked for while this one is worked on. */
MO_ROW_INLINE void prefetch_word(const mo_embedding_job *job, int64_t element, int64_t r) {
  const mo_embedding_table *word = &job->tables[0];
  if (word->data == NULL) return;
  const int64_t id = mo_embedding_id(&word->ids, r / job->length, r % job->length);
  const char *row = (const char *)word->data + id * word->stride * element;
  for (int64_t byte = 0; byte < job->affine.count * element; byte += 64) __builtin_prefetch(row + byte);
}

/* The dtypes are constants in the common cases. */
MO_ROW_INLINE void embedding_rows(const mo_embedding_job *job, mo_dtype_t dtype, mo_dtype_t weight_dtype, int64_t first,
                                  int64_t last, float *row) {
  const int64_t count = job->affine.count, element = dtype == MO_DTYPE_FLOAT32 ? 4 : 2;
  for (int64_t r = first; r < last; ++r) {
    const int64_t b = r / job->length, s = r % job->length;
    if (r + 1 < last) prefetch_word(job, element, r + 1);
    const char *sources[4];
    int source_count = 0;
    if (job->embeds != NULL) {
      sources[source_count++] = (const char *)job->embeds + (b * job->embeds_batch_stride + s * job->embeds_stride) * element;
    }
    for (int t = 0; t < 3; ++t) {
      const mo_embedding_table *table = &job->tables[t];
      if (table->data == NULL) continue;
      sources[source_count++] = (const char *)table->data + mo_embedding_id(&table->ids, b, s) * table->stride * element;
    }
    const int64_t output = b * job->output_batch_stride + s * job->output_stride;
    const mo_vf first_scale = mo_vf_set1(job->first_scale);
    for (int64_t i = 0; i < count; i += MO_VL) {
      const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
      mo_vf v = mo_vf_mul(mo_vf_load_any(sources[0], dtype, i, n), first_scale);
      for (int t = 1; t < source_count; ++t) v = mo_vf_add(v, mo_vf_load_any(sources[t], dtype, i, n));
      if (job->normalises) mo_vf_store_any(row, MO_DTYPE_FLOAT32, i, v, n);
      else mo_vf_store_any(job->output, dtype, output + i, v, n);
    }
    if (job->normalises) mo_row_normalize(&job->affine, weight_dtype, row, job->output, dtype, output);
  }
}

void MO_SIMD(mo_embedding_rows)(const mo_embedding_job *job, int64_t first, int64_t last, float *row) {
  const mo_dtype_t dtype = job->dtype, weight_dtype = job->normalises ? job->affine.weight_dtype : dtype;
  if (dtype == MO_DTYPE_FLOAT32) embedding_rows(job, MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, first, last, row);
  else if (dtype == MO_DTYPE_FLOAT16) embedding_rows(job, MO_DTYPE_FLOAT16, weight_dtype, first, last, row);
  else embedding_rows(job, MO_DTYPE_BFLOAT16, weight_dtype, first, last, row);
}
