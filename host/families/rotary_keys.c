/* host/families/rotary_keys.c - the rotary embedding of a layer stack, from the keys of config.json in all their spellings.
 *
 * transformers/modeling_rope_utils.py. Files before version 5 have rope_theta, partial_rotary_factor and the object
 * rope_scaling, those since then have them all in rope_parameters. Where both objects stand there, rope_scaling is the one that
 * counts; what the chosen one leaves open is taken from the keys beside it. Where versions 4.57 and 5.24 disagree, 5.24 is
 * followed; what one of them refuses and the other ignores is refused.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/families/transformer_keys.h"

#define FACTOR_LIMIT 1e9

/* `required`: the numbers without which a rule means nothing. */
static const struct {
  const char *name;
  mo_rotary_scaling_t scaling;
  const char *required[4];
} scaling_rules[] = {{"default", MO_ROTARY_SCALING_NONE, {NULL}},
                     {"linear", MO_ROTARY_SCALING_LINEAR, {"factor", NULL}},
                     {"dynamic", MO_ROTARY_SCALING_DYNAMIC, {"factor", NULL}},
                     {"llama3", MO_ROTARY_SCALING_LLAMA3, {"factor", "low_freq_factor", "high_freq_factor", NULL}},
                     {"yarn", MO_ROTARY_SCALING_YARN, {NULL}}};

static mo_status_t read_rule(const mo_config_t *section, const char *key, mo_rotary_scaling_t *scaling) {
  const char *old_name, *name;
  MO_TRY(mo_config_string(section, "type", NULL, &old_name));
  MO_TRY(mo_config_string(section, "rope_type", old_name, &name));
  MO_CHECK(name != NULL || !mo_config_has(section, "factor"), MO_STATUS_BAD_FILE,
           "model load: %s has a factor but no rope_type, which says what it does", key);
  MO_CHECK(name == NULL || old_name == NULL || strcmp(name, old_name) == 0, MO_STATUS_BAD_FILE,
           "model load: %s has the rope_type %.40s and the type %.40s, they must be the same", key, name, old_name);
  if (name == NULL) name = "default";
  for (size_t i = 0; i < sizeof scaling_rules / sizeof scaling_rules[0]; i++) {
    if (strcmp(scaling_rules[i].name, name) != 0) continue;
    *scaling = scaling_rules[i].scaling;
    for (const char *const *required = scaling_rules[i].required; *required != NULL; required++)
      MO_CHECK(mo_config_has(section, *required), MO_STATUS_BAD_FILE, "model load: %s of rope_type %s needs %s, which is %s",
               key, name, *required, mo_config_is_null(section, *required) ? "null" : "not there");
    return MO_STATUS_OK;
  }
  return mo_fail(MO_STATUS_UNSUPPORTED,
                 "model load: %s has the rope_type %.64s; known are default, linear, dynamic, llama3, yarn", key, name);
}

/* The length a model was trained with. Beside the object it wins over that inside. */
static mo_status_t read_original_length(const mo_config_t *config, const mo_config_t *section, int64_t position_count,
                                        int64_t *length) {
  static const char key[] = "original_max_position_embeddings";
  MO_TRY(mo_config_integer(section, key, 1, INT32_MAX, position_count, length));
  return mo_config_integer(config, key, 1, INT32_MAX, *length, length);
}

/* What the rule of `section` needs. Factors are above 0; the tables check what depends on others. */
static mo_status_t read_scaling(const mo_config_t *config, const mo_config_t *section, const char *key, int64_t position_count,
                                mo_rotary_config *rotary) {
  bool truncate;
  MO_TRY(read_rule(section, key, &rotary->scaling));
  if (rotary->scaling == MO_ROTARY_SCALING_NONE) return MO_STATUS_OK;
  const bool yarn = rotary->scaling == MO_ROTARY_SCALING_YARN;
  MO_CHECK(!yarn || mo_config_has(section, "factor") || mo_config_is_null(section, "factor"), MO_STATUS_BAD_FILE,
           "model load: %s of rope_type yarn needs factor, which is not there", key);
  int64_t original = position_count;
  if (rotary->scaling != MO_ROTARY_SCALING_DYNAMIC) MO_TRY(read_original_length(config, section, position_count, &original));
  rotary->original_max_positions = original;
  const double stretched = (double)position_count / (double)original; /* YaRN's where factor is null */
  MO_TRY(mo_config_float(section, "factor", 0.0, FACTOR_LIMIT, stretched, &rotary->factor));
  MO_TRY(mo_config_float(section, "low_freq_factor", 0.0, FACTOR_LIMIT, 0.0, &rotary->low_frequency_factor));
  MO_TRY(mo_config_float(section, "high_freq_factor", 0.0, FACTOR_LIMIT, 0.0, &rotary->high_frequency_factor));
  MO_TRY(mo_config_float(section, "beta_fast", 0.0, FACTOR_LIMIT, 0.0, &rotary->beta_fast));
  MO_TRY(mo_config_float(section, "beta_slow", 0.0, FACTOR_LIMIT, 0.0, &rotary->beta_slow));
  MO_TRY(mo_config_float(section, "attention_factor", 0.0, FACTOR_LIMIT, 0.0, &rotary->attention_factor));
  MO_TRY(mo_config_float(section, "mscale", 0.0, FACTOR_LIMIT, 0.0, &rotary->magnitude_scale));
  MO_TRY(mo_config_float(section, "mscale_all_dim", 0.0, FACTOR_LIMIT, 0.0, &rotary->magnitude_scale_all));
  MO_TRY(mo_config_flag(section, "truncate", true, &truncate));
  rotary->yarn_keeps_fraction = !truncate;
  return MO_STATUS_OK;
}

static mo_status_t read_rotary(const mo_config_t *config, const mo_config_t *section, const char *key,
                               const mo_rotary_keys *keys, mo_transformer_config *stack) {
  mo_rotary_config rotary = MO_ROTARY_CONFIG_INIT;
  double fraction;
  MO_TRY(mo_config_float(config, keys->theta, 1.0, 1e18, keys->default_theta > 0.0 ? keys->default_theta : 10000.0,
                         &rotary.theta));
  MO_TRY(mo_config_float(config, keys->fraction, 0.0, 1.0, keys->default_fraction, &fraction));
  if (section != NULL) {
    MO_TRY(mo_config_float(section, "rope_theta", 1.0, 1e18, rotary.theta, &rotary.theta));
    MO_TRY(mo_config_float(section, "partial_rotary_factor", 0.0, 1.0, fraction, &fraction));
    MO_TRY(read_scaling(config, section, key, stack->embedding.position_count, &rotary));
  }
  MO_CHECK(fraction == 1.0 || !keys->whole_heads, MO_STATUS_UNSUPPORTED,
           "model load: partial_rotary_factor is %g, models of this family turn whole heads only", fraction);
  rotary.rotary_dim = (int64_t)((double)stack->attention.head_size * fraction);
  MO_CHECK(rotary.rotary_dim % 2 == 0, MO_STATUS_BAD_FILE,
           "model load: the rotary embedding turns %" PRId64 " elements of a head, an even number is needed",
           rotary.rotary_dim);
  stack->attention.rotary = rotary;
  for (int64_t i = 0; i < stack->layer_count; i++) stack->layers[i].rotary = rotary.rotary_dim > 0;
  /* The rule's own checks, before any weight is read. */
  return mo_rotary_fill_tables(&stack->attention.rotary, 0, 0, NULL, NULL);
}

/* One object per kind of layer: none of these families turns its layers in different ways. */
static mo_status_t check_flat(const mo_config_t *section, const char *key) {
  static const char *const kinds[] = {"full_attention", "sliding_attention", "chunked_attention"};
  for (size_t i = 0; section != NULL && i < sizeof kinds / sizeof kinds[0]; i++)
    MO_CHECK(!mo_config_has(section, kinds[i]), MO_STATUS_UNSUPPORTED,
             "model load: %s differs by the kind of layer (%s), only one for all layers is supported", key, kinds[i]);
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_read_rotary(const mo_config_t *config, const mo_rotary_keys *keys, mo_transformer_config *stack) {
  mo_config_t *section = NULL;
  const char *key = mo_config_is_truthy(config, "rope_scaling") ? "rope_scaling" : "rope_parameters";
  MO_TRY(mo_config_section(config, key, &section));
  mo_status_t status = check_flat(section, key);
  if (status == MO_STATUS_OK) status = read_rotary(config, section, key, keys, stack);
  mo_config_destroy(section);
  return status;
}
