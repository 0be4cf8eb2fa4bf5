/* host/text/tokenizer_class.h - what each tokenizer class of Transformers does to a folder's tokenizer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TEXT_TOKENIZER_CLASS_H
#define MO_TEXT_TOKENIZER_CLASS_H

#include <stdbool.h>

typedef enum mo_tokenizer_rule_t {
  MO_TOKENIZER_RULE_PLAIN = 0,      /* takes tokenizer.json as it is */
  MO_TOKENIZER_RULE_BERT = 1,       /* puts BERT's normalisation in place by its own settings, can be made of a vocab.txt */
  MO_TOKENIZER_RULE_NORMALIZER = 2, /* the same normalisation, but with a vocab.txt it would do other things than BERT */
  MO_TOKENIZER_RULE_ROBERTA = 3,    /* takes tokenizer.json as it is, and adds "<s>" and the like as special tokens */
} mo_tokenizer_rule_t;

/* Of a class by its name ("BertTokenizer", with or without "Fast"). False: one that is not known, or does what is not done
 * here. */
bool mo_tokenizer_class_rule(const char *name, mo_tokenizer_rule_t *rule);

/* Of the class that belongs to a `model_type`. False: that class does what is not done here. */
bool mo_tokenizer_model_type_rule(const char *model_type, mo_tokenizer_rule_t *rule);

#endif
