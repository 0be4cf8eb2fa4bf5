/* host/ops/rotary_tables.c - cosines and sines of the rotary embedding under each scaling rule.
 *
 * Every step that the original does in float32 is rounded to float32 here.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "host/core/error.h"
#include "host/core/struct_size.h"
#include "modelout/rotary.h"

#define OP "rotary tables"
#define TWO_PI 6.283185307179586

/* A configuration with its defaults filled in. */
static mo_status_t resolve(const mo_rotary_config *given, mo_rotary_config *config) {
  *config = (mo_rotary_config)MO_ROTARY_CONFIG_INIT;
  MO_TRY(MO_TAKE(OP, MO_ROTARY_CONFIG_INIT, given, MO_SIZE_TO(mo_rotary_config, yarn_keeps_fraction), config));
  if (config->theta == 0.0) config->theta = 10000.0;
  if (config->low_frequency_factor == 0.0) config->low_frequency_factor = 1.0;
  if (config->high_frequency_factor == 0.0) config->high_frequency_factor = 4.0;
  if (config->beta_fast == 0.0) config->beta_fast = 32.0;
  if (config->beta_slow == 0.0) config->beta_slow = 1.0;
  MO_CHECK(config->rotary_dim >= 0 && config->rotary_dim % 2 == 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": rotary_dim %" PRId64 ", an even number is needed", config->rotary_dim);
  MO_CHECK(isfinite(config->theta) && config->theta > 0.0, MO_STATUS_INVALID_ARGUMENT, OP ": theta %g is not positive",
           config->theta);
  MO_CHECK(config->scaling >= MO_ROTARY_SCALING_NONE && config->scaling <= MO_ROTARY_SCALING_YARN, MO_STATUS_INVALID_ARGUMENT,
           OP ": scaling %d is unknown", (int)config->scaling);
  if (config->scaling == MO_ROTARY_SCALING_NONE) return MO_STATUS_OK;
  MO_CHECK(isfinite(config->factor) && config->factor > 0.0, MO_STATUS_INVALID_ARGUMENT,
           OP ": factor %g of a scaled embedding is not positive", config->factor);
  if (config->scaling == MO_ROTARY_SCALING_LINEAR) return MO_STATUS_OK;
  MO_CHECK(config->original_max_positions > 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": original_max_positions %" PRId64 ", this scaling needs the pretrained model's",
           config->original_max_positions);
  MO_CHECK(config->scaling != MO_ROTARY_SCALING_DYNAMIC || config->rotary_dim > 2, MO_STATUS_INVALID_ARGUMENT,
           OP ": rotary_dim %" PRId64 ", dynamic scaling needs more than 2", config->rotary_dim);
  MO_CHECK(config->scaling != MO_ROTARY_SCALING_LLAMA3 || config->high_frequency_factor != config->low_frequency_factor,
           MO_STATUS_INVALID_ARGUMENT, OP ": low and high frequency factor are both %g", config->low_frequency_factor);
  return MO_STATUS_OK;
}

/* theta ^ (2 i / R) */
static float period(const mo_rotary_config *config, double theta, int64_t pair) {
  const float exponent = (float)(2 * pair) / (float)config->rotary_dim;
  return (float)pow(theta, (double)exponent);
}

static double dynamic_theta(const mo_rotary_config *config, int64_t length) {
  const double original = (double)config->original_max_positions, r = (double)config->rotary_dim;
  const double current = length > config->original_max_positions ? (double)length : original;
  return config->theta * pow(config->factor * current / original - (config->factor - 1.0), r / (r - 2.0));
}

static float llama3_frequency(const mo_rotary_config *config, float frequency) {
  const float original = (float)config->original_max_positions, factor = (float)config->factor;
  const float low = (float)config->low_frequency_factor, high = (float)config->high_frequency_factor;
  const float wavelength = (float)TWO_PI / frequency;
  if (wavelength < original / high) return frequency;
  if (wavelength > original / low) return frequency / factor;
  const float smooth = (original / wavelength - low) / (high - low);
  return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

/* The dimension whose wave turns `turns` times over the pretrained length. */
static double yarn_dimension(const mo_rotary_config *config, double turns) {
  return (double)config->rotary_dim * log((double)config->original_max_positions / (turns * TWO_PI)) /
         (2.0 * log(config->theta));
}

/* 0 where the frequency is kept, 1 where it is divided by the factor. */
static float yarn_ramp(const mo_rotary_config *config, int64_t pair) {
  double low = yarn_dimension(config, config->beta_fast), high = yarn_dimension(config, config->beta_slow);
  if (!config->yarn_keeps_fraction) {
    low = floor(low);
    high = ceil(high);
  }
  if (low < 0.0) low = 0.0;
  if (high > (double)(config->rotary_dim - 1)) high = (double)(config->rotary_dim - 1);
  if (low == high) high += 0.001;
  const float ramp = (float)(((double)pair - low) / (high - low));
  return ramp < 0.0f ? 0.0f : ramp > 1.0f ? 1.0f : ramp;
}

static float frequency_of(const mo_rotary_config *config, double theta, int64_t pair) {
  const float turn = period(config, theta, pair), frequency = 1.0f / turn;
  switch (config->scaling) {
    case MO_ROTARY_SCALING_LINEAR:
      return frequency / (float)config->factor;
    case MO_ROTARY_SCALING_LLAMA3:
      return llama3_frequency(config, frequency);
    case MO_ROTARY_SCALING_YARN: {
      const float kept = 1.0f - yarn_ramp(config, pair), divided = 1.0f / ((float)config->factor * turn);
      return divided * (1.0f - kept) + frequency * kept;
    }
    default:
      return frequency;
  }
}

static double yarn_magnitude(double factor, double scale) { return factor <= 1.0 ? 1.0 : 0.1 * scale * log(factor) + 1.0; }

/* What cosines and sines are multiplied by. */
static double magnitude(const mo_rotary_config *config) {
  if (config->scaling != MO_ROTARY_SCALING_YARN) return 1.0;
  if (config->attention_factor != 0.0) return config->attention_factor;
  if (config->magnitude_scale != 0.0 && config->magnitude_scale_all != 0.0)
    return yarn_magnitude(config->factor, config->magnitude_scale) /
           yarn_magnitude(config->factor, config->magnitude_scale_all);
  return yarn_magnitude(config->factor, 1.0);
}

mo_status_t mo_rotary_fill_tables(const mo_rotary_config *given, int64_t position_count, int64_t sequence_length, float *cosine,
                                  float *sine) {
  mo_rotary_config config;
  MO_TRY(resolve(given, &config));
  const int64_t pairs = config.rotary_dim / 2;
  MO_CHECK(position_count >= 0 && sequence_length >= 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": %" PRId64 " positions of a sequence of %" PRId64 ", both must be 0 or more", position_count, sequence_length);
  MO_CHECK((cosine != NULL && sine != NULL) || position_count == 0 || pairs == 0, MO_STATUS_INVALID_ARGUMENT,
           OP ": cosine or sine is NULL");
  double theta = config.theta;
  if (config.scaling == MO_ROTARY_SCALING_DYNAMIC)
    theta = dynamic_theta(&config, sequence_length != 0 ? sequence_length : position_count);
  const float scale = (float)magnitude(&config);
  for (int64_t pair = 0; pair < pairs; pair++) {
    const float frequency = frequency_of(&config, theta, pair);
    for (int64_t position = 0; position < position_count; position++) {
      const float angle = (float)position * frequency;
      cosine[position * pairs + pair] = (float)cos((double)angle) * scale;
      sine[position * pairs + pair] = (float)sin((double)angle) * scale;
    }
  }
  return MO_STATUS_OK;
}
