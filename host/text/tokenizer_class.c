/* host/text/tokenizer_class.c - what each tokenizer class of Transformers does to a folder's tokenizer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/text/tokenizer_class.h"

#include <string.h>

typedef struct known_class {
  const char *name; /* before "Tokenizer" or "TokenizerFast" */
  mo_tokenizer_rule_t rule;
} known_class;

/* Those of PLAIN are fast classes that change nothing of a WordPiece tokenizer.json. Classes that put a template of their own
 * in place (Llama, GPTNeoX, ...) are not here, so they are refused. */
static const known_class classes[] = {{"Bert", MO_TOKENIZER_RULE_BERT},
                                      {"DistilBert", MO_TOKENIZER_RULE_BERT},
                                      {"Electra", MO_TOKENIZER_RULE_BERT},
                                      {"MobileBert", MO_TOKENIZER_RULE_BERT},
                                      {"ConvBert", MO_TOKENIZER_RULE_BERT},
                                      {"SqueezeBert", MO_TOKENIZER_RULE_BERT},
                                      {"LayoutLM", MO_TOKENIZER_RULE_BERT},
                                      {"RetriBert", MO_TOKENIZER_RULE_BERT},
                                      {"Lxmert", MO_TOKENIZER_RULE_BERT},
                                      {"DPRContextEncoder", MO_TOKENIZER_RULE_BERT},
                                      {"DPRQuestionEncoder", MO_TOKENIZER_RULE_BERT},
                                      {"DPRReader", MO_TOKENIZER_RULE_BERT},
                                      {"Funnel", MO_TOKENIZER_RULE_NORMALIZER},
                                      {"MPNet", MO_TOKENIZER_RULE_NORMALIZER},
                                      {"PreTrained", MO_TOKENIZER_RULE_PLAIN},
                                      {"Albert", MO_TOKENIZER_RULE_PLAIN},
                                      {"Bart", MO_TOKENIZER_RULE_ROBERTA},
                                      {"BigBird", MO_TOKENIZER_RULE_PLAIN},
                                      {"Camembert", MO_TOKENIZER_RULE_PLAIN},
                                      {"GPT2", MO_TOKENIZER_RULE_PLAIN},
                                      {"Longformer", MO_TOKENIZER_RULE_ROBERTA},
                                      {"Qwen2", MO_TOKENIZER_RULE_PLAIN},
                                      {"Roberta", MO_TOKENIZER_RULE_ROBERTA},
                                      {"T5", MO_TOKENIZER_RULE_PLAIN},
                                      {"XLMRoberta", MO_TOKENIZER_RULE_PLAIN}};

/* Where no file names a class, `model_type` of config.json does. */
static const known_class model_types[] = {
    {"bert", MO_TOKENIZER_RULE_BERT},         {"distilbert", MO_TOKENIZER_RULE_BERT},   {"electra", MO_TOKENIZER_RULE_BERT},
    {"mobilebert", MO_TOKENIZER_RULE_BERT},   {"convbert", MO_TOKENIZER_RULE_BERT},     {"squeezebert", MO_TOKENIZER_RULE_BERT},
    {"layoutlm", MO_TOKENIZER_RULE_BERT},     {"lxmert", MO_TOKENIZER_RULE_BERT},       {"dpr", MO_TOKENIZER_RULE_BERT},
    {"funnel", MO_TOKENIZER_RULE_NORMALIZER}, {"mpnet", MO_TOKENIZER_RULE_NORMALIZER},  {"roberta", MO_TOKENIZER_RULE_ROBERTA},
    {"bart", MO_TOKENIZER_RULE_ROBERTA},      {"longformer", MO_TOKENIZER_RULE_ROBERTA}};

static const char *const types_with_own_template[] = {"llama",    "mistral", "mixtral",   "gemma",
                                                      "gpt_neox", "cohere",  "code_llama"};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

bool mo_tokenizer_class_rule(const char *name, mo_tokenizer_rule_t *rule) {
  *rule = MO_TOKENIZER_RULE_PLAIN;
  if (strcmp(name, "TokenizersBackend") == 0) return true; /* 5.x's name of PreTrainedTokenizerFast */
  for (size_t i = 0; i < LENGTH(classes); ++i) {
    const size_t bytes = strlen(classes[i].name);
    if (strncmp(name, classes[i].name, bytes) != 0) continue;
    if (strcmp(name + bytes, "Tokenizer") != 0 && strcmp(name + bytes, "TokenizerFast") != 0) continue;
    *rule = classes[i].rule;
    return true;
  }
  return false;
}

bool mo_tokenizer_model_type_rule(const char *model_type, mo_tokenizer_rule_t *rule) {
  *rule = MO_TOKENIZER_RULE_PLAIN;
  for (size_t i = 0; i < LENGTH(types_with_own_template); ++i)
    if (strcmp(model_type, types_with_own_template[i]) == 0) return false;
  for (size_t i = 0; i < LENGTH(model_types); ++i)
    if (strcmp(model_type, model_types[i].name) == 0) *rule = model_types[i].rule;
  return true;
}
