// tests/output/container_test.cc - the rules of ModelOutput that the recorded scripts do not reach, each test named by its rule
// (docs/output_behaviour.md), and the recorded scripts themselves.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "tests/output/container_case.h"

namespace {

using namespace container_case;

TEST_F(Container, RecordedScriptsOfTheOriginal) {
  replay_counts counts = {};
  ASSERT_EQ(replay_file(MO_TEST_DATA "/container.json", stderr, &counts), REPLAY_OK);
  EXPECT_EQ(counts.scripts, 120);
  EXPECT_EQ(counts.agree, 120);
  EXPECT_EQ(counts.differ, 0);
  EXPECT_EQ(counts.without_meaning, 0);
}

// ---- Construction --------------------------------------------------------------------------------------------------

TEST_F(Container, Rule1And24TypedStructIsTheOutput) {
  mo_output *output = Fields("CausalLMOutput", {{"logits", t1_}});
  EXPECT_EQ(shim_logits(output), t1_);
  EXPECT_EQ(shim_loss(output), nullptr);
  EXPECT_EQ(mo_output_get(output, "logits"), t1_);
}

TEST_F(Container, Rule2BareBaseIsAnOrderedDict) {
  mo_output *output = Items("ModelOutput", {{"b", t0_}, {"a", nullptr}});
  EXPECT_EQ(Keys(output), "b a");
  EXPECT_EQ(Attribute(output, "b"), t0_);
  EXPECT_EQ(Attribute(output, "a"), nullptr);
}

TEST_F(Container, Rule6WrongArgumentsAreTypeErrors) {
  mo_output *output = nullptr;
  EXPECT_EQ(TryFields("CausalLMOutput", {{"pooler_output", t0_}}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryFields("CausalLMOutput", {{"loss", t0_}, {"loss", t1_}}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryFields("CausalLMOutput", {{"loss", nullptr}, {"loss", nullptr}}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryValues("CausalLMOutput", {t0_, t0_, t0_, t0_, nullptr}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(output, nullptr);
}

TEST_F(Container, Rule7FalseValuesAreKept) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", Integer(0)}, {"logits", String("")}, {"attentions", Tuple({})}});
  EXPECT_EQ(Keys(output), "loss logits attentions");
}

TEST_F(Container, Rule8KeysAreInDeclaredOrder) {
  EXPECT_EQ(Keys(Fields("CausalLMOutput", {{"attentions", t0_}, {"loss", t1_}, {"logits", t2_}})), "loss logits attentions");
}

TEST_F(Container, Rule9NothingIsAValidOutput) {
  EXPECT_EQ(mo_output_length(Fields("CausalLMOutput", {})), 0);
  EXPECT_EQ(mo_output_length(Fields("CausalLMOutput", {{"loss", nullptr}})), 0);
  EXPECT_EQ(mo_output_length(Values("CausalLMOutput", {})), 0);
}

TEST_F(Container, Rule10OtherFieldsSwitchTheSpecialRulesOff) {
  mo_field *dict = Dict({"logits"}, {t1_});
  mo_output *output = Values("CausalLMOutput", {dict, t0_});
  EXPECT_EQ(mo_output_get(output, "loss"), dict);
  EXPECT_EQ(mo_output_get(output, "logits"), t0_);
}

TEST_F(Container, Rule11DictAndOutputAreSpread) {
  mo_output *output = Values("CausalLMOutput", {Dict({"logits", "loss"}, {t1_, t0_})});
  EXPECT_EQ(Keys(output), "logits loss");
  mo_output *other = nullptr;
  ASSERT_EQ(mo_output_create_from_output(context_, Class("MaskedLMOutput"), output, &other), MO_STATUS_OK);
  Keep(other);
  EXPECT_EQ(Keys(other), "logits loss");
  EXPECT_EQ(other->output_class, Class("MaskedLMOutput"));
}

TEST_F(Container, Rule12TupleOfPairsIsADictAndLastWins) {
  mo_field *pairs = Tuple({Tuple({String("logits"), t0_}), Tuple({String("loss"), t1_}), Tuple({String("logits"), t2_})});
  mo_output *output = Values("CausalLMOutput", {pairs});
  EXPECT_EQ(Keys(output), "logits loss");
  EXPECT_EQ(mo_output_get(output, "logits"), t2_);
}

TEST_F(Container, Rule13OtherIterablesAreStoredWhole) {
  mo_field *values[] = {Tuple({t0_, t1_}), Tuple({String("a"), Integer(30)}), String("loss"),
                        Tuple({Integer(1), Tuple({String("loss"), t0_})})};
  for (mo_field *value : values) {
    mo_output *output = Values("CausalLMOutput", {value});
    EXPECT_EQ(Keys(output), "loss");
    EXPECT_EQ(mo_output_get(output, "loss"), value);
  }
  mo_output *mixed = Items("CausalLMOutput", {{nullptr, Integer(7)}, {"logits", t1_}});
  EXPECT_TRUE(mo_field_equal(Attribute(mixed, "loss"), Tuple({Integer(7), Tuple({String("logits"), t1_})})));
  EXPECT_EQ(Keys(mixed), "loss");
}

TEST_F(Container, Rule14EmptyIterablesGiveNothing) {
  mo_field *values[] = {Tuple({}), Dict({}, {}), String("")};
  for (mo_field *value : values) {
    mo_output *output = Values("CausalLMOutput", {value});
    EXPECT_EQ(mo_output_length(output), 0);
    EXPECT_EQ(Attribute(output, "loss"), nullptr);
  }
  EXPECT_EQ(mo_output_length(Items("CausalLMOutput", {})), 0);
}

TEST_F(Container, Rule15PairsThenSomethingElseIsAValueError) {
  mo_output *output = nullptr;
  EXPECT_EQ(TryItems("CausalLMOutput", {{"loss", t0_}, {"extra", t0_}, {nullptr, t1_}}, &output), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(TryValues("CausalLMOutput", {Tuple({Tuple({String("loss"), t0_}), Tuple({Integer(10), Integer(10)})})}, &output),
            MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(output, nullptr);
}

TEST_F(Container, Rule16NoneAmongPairsLeavesAnEarlierEntry) {
  mo_output *output = Items("CausalLMOutput", {{"loss", t0_}, {"loss", nullptr}, {"logits", nullptr}});
  EXPECT_EQ(Keys(output), "loss");
  EXPECT_EQ(mo_output_get(output, "loss"), t0_);
  EXPECT_EQ(Attribute(output, "loss"), nullptr);
  EXPECT_EQ(Attribute(output, "logits"), nullptr);
}

TEST_F(Container, Rule17And18UnknownNamesBecomeAttributesAndKeys) {
  mo_output *output = Items("CausalLMOutput", {{"keys", t0_}, {"extra", t1_}, {"none", nullptr}});
  EXPECT_EQ(Keys(output), "keys extra");
  EXPECT_EQ(Attribute(output, "keys"), t0_);
  EXPECT_EQ(Attribute(output, "none"), nullptr);
  EXPECT_EQ(Attribute(output, "loss"), nullptr);
}

TEST_F(Container, Rule19NumbersAreStored) {
  mo_output *output = Values("CausalLMOutput", {Integer(0)});
  EXPECT_EQ(mo_field_kind(mo_output_get(output, "loss")), MO_FIELD_INTEGER);
}

TEST_F(Container, Rule20BareBaseTakesWhatAnOrderedDictTakes) {
  EXPECT_EQ(Keys(Values("ModelOutput", {Dict({"b", "a"}, {t0_, nullptr})})), "b a");
  EXPECT_EQ(Keys(Values("ModelOutput", {Tuple({Tuple({String("x"), t0_})})})), "x");
  EXPECT_EQ(Keys(Fields("ModelOutput", {{"y", t0_}, {"x", nullptr}})), "y x");
  EXPECT_EQ(mo_output_length(Values("ModelOutput", {})), 0);
  mo_output *output = nullptr;
  EXPECT_EQ(TryValues("ModelOutput", {nullptr}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryValues("ModelOutput", {Integer(3)}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryValues("ModelOutput", {Tuple({}), Tuple({})}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryValues("ModelOutput", {Tuple({Integer(3)})}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryValues("ModelOutput", {Tuple({Tuple({Integer(3), t0_})})}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryValues("ModelOutput", {Tuple({Tuple({String("a")})})}, &output), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(TryItems("ModelOutput", {{nullptr, t0_}}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryFields("ModelOutput", {{"y", t0_}, {"y", t0_}}, &output), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(output, nullptr);
}

// ---- Reading -------------------------------------------------------------------------------------------------------

TEST_F(Container, Rule21SlicesOfEveryKindAgreeWithAPlainLoop) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", t0_}, {"logits", t1_}, {"hidden_states", t2_}, {"attentions", t3_}});
  const int64_t unset = MO_SLICE_UNSET;
  const int64_t bounds[] = {unset, -9, -5, -4, -1, 0, 1, 3, 4, 5, INT64_MAX, INT64_MIN + 1};
  for (int64_t step : {int64_t{1}, int64_t{-1}, int64_t{2}, int64_t{-2}, int64_t{3}, INT64_MAX, INT64_MIN + 1}) {
    for (int64_t start : bounds) {
      for (int64_t stop : bounds) {
        const int64_t n = 4, low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
        auto clamp = [&](int64_t bound) { return std::min(std::max(bound < 0 ? bound + n : bound, low), high); };
        const int64_t first = start == unset ? (step > 0 ? 0 : n - 1) : clamp(start);
        const int64_t last = stop == unset ? (step > 0 ? n : -1) : clamp(stop);
        std::vector<mo_field *> expected;
        for (__int128 i = first; step > 0 ? i < last : i > last; i += step) expected.push_back(tensors_[static_cast<int>(i)]);
        mo_field *fields[4] = {};
        int64_t count = -1;
        ASSERT_EQ(mo_output_slice(output, mo_slice{start, stop, step}, fields, 4, &count), MO_STATUS_OK);
        ASSERT_EQ(count, static_cast<int64_t>(expected.size())) << start << ":" << stop << ":" << step;
        for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(fields[i], expected[i]);
      }
    }
  }
  int64_t count = -1;
  EXPECT_EQ(mo_output_slice(output, mo_slice{0, 4, 0}, nullptr, 0, &count), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(count, -1);
  mo_field *one[2] = {nullptr, t3_};
  EXPECT_EQ(mo_output_slice(output, shim_slice_all(), one, 1, &count), MO_STATUS_OK);
  EXPECT_EQ(count, 4);
  EXPECT_EQ(one[0], t0_);
  EXPECT_EQ(one[1], t3_) << "wrote past the capacity";
  EXPECT_EQ(mo_output_slice(output, shim_slice_range(1, 3), nullptr, 0, &count), MO_STATUS_OK);
  EXPECT_EQ(count, 2);
}

TEST_F(Container, Rule21PositionsOutOfRange) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", t0_}, {"hidden_states", t1_}});
  mo_field *field = t3_;
  for (int64_t index : {int64_t{2}, int64_t{-3}, INT64_MAX, INT64_MIN}) {
    EXPECT_EQ(mo_output_item_at(output, index, &field), MO_STATUS_INDEX_ERROR);
    EXPECT_EQ(mo_output_at(output, index), nullptr);
  }
  EXPECT_EQ(field, t3_) << "a failed call wrote its result";
  EXPECT_EQ(mo_output_at(output, 1), t1_) << "rule 22: positions shift over absent fields";
  EXPECT_EQ(mo_output_key_at(output, -1), nullptr);
  EXPECT_EQ(mo_output_key_at(output, 2), nullptr);
}

TEST_F(Container, Rule23To26KeysAndAttributes) {
  mo_output *output = Fields("CausalLMOutput", {{"logits", t1_}});
  mo_field *field = t3_;
  EXPECT_EQ(mo_output_item(output, "loss", &field), MO_STATUS_KEY_ERROR) << "no fall-back to the attribute";
  EXPECT_EQ(mo_output_attribute(output, "nothing", &field), MO_STATUS_ATTRIBUTE_ERROR);
  EXPECT_EQ(field, t3_);
  EXPECT_NE(std::string(mo_last_error()).find("nothing"), std::string::npos);
  EXPECT_EQ(Attribute(output, "loss"), nullptr);
  EXPECT_EQ(mo_output_get(output, "loss"), nullptr);
  EXPECT_FALSE(mo_output_contains(output, "loss"));
  EXPECT_TRUE(mo_output_contains(output, std::string("logits").c_str()));
  EXPECT_FALSE(mo_output_contains(output, ""));
}

TEST_F(Container, Rule29ToTupleIsOneLevelDeep) {
  mo_field *states = Tuple({t0_, nullptr});
  mo_output *output = Fields("CausalLMOutput", {{"logits", t1_}, {"hidden_states", states}});
  mo_field *tuple = nullptr;
  ASSERT_EQ(mo_output_to_tuple(output, &tuple), MO_STATUS_OK);
  EXPECT_EQ(mo_field_length(tuple), 2);
  EXPECT_EQ(mo_field_item(tuple, -1), states);
  mo_field_release(tuple);
  mo_output *many = Fields("ModelOutput", {});
  for (int i = 0; i < 100; ++i) ASSERT_EQ(mo_output_set_item(many, std::to_string(i).c_str(), t0_), MO_STATUS_OK);
  ASSERT_EQ(mo_output_to_tuple(many, &tuple), MO_STATUS_OK);
  EXPECT_EQ(mo_field_length(tuple), 100);
  mo_field_release(tuple);
}

// ---- Writing -------------------------------------------------------------------------------------------------------

TEST_F(Container, Rule31SetItemSetsBothAlsoToNone) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", t0_}});
  ASSERT_EQ(mo_output_set_item(output, "loss", nullptr), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_item(output, "new", t1_), MO_STATUS_OK);
  EXPECT_EQ(Keys(output), "loss new");
  mo_field *field = t3_;
  EXPECT_EQ(mo_output_item(output, "loss", &field), MO_STATUS_OK);
  EXPECT_EQ(field, nullptr);
  EXPECT_EQ(Attribute(output, "new"), t1_);
}

TEST_F(Container, Rule32To34SetAttribute) {
  mo_output *output = Fields("CausalLMOutput", {{"logits", t1_}});
  ASSERT_EQ(mo_output_set_attribute(output, "loss", t0_), MO_STATUS_OK);
  EXPECT_EQ(Keys(output), "logits loss") << "rule 34: a late key goes to the end";
  ASSERT_EQ(mo_output_set_attribute(output, "extra", t2_), MO_STATUS_OK);
  EXPECT_EQ(Keys(output), "logits loss") << "an undeclared attribute is no key";
  EXPECT_EQ(Attribute(output, "extra"), t2_);
  ASSERT_EQ(mo_output_set_attribute(output, "loss", nullptr), MO_STATUS_OK);
  EXPECT_EQ(Attribute(output, "loss"), nullptr);
  EXPECT_EQ(mo_output_get(output, "loss"), t0_) << "rule 33: the key keeps the old value";
  EXPECT_EQ(shim_loss(output), nullptr);
}

TEST_F(Container, Rule35BareBaseRefusesAttributes) {
  mo_output *output = Fields("ModelOutput", {{"a", t0_}});
  EXPECT_EQ(mo_output_set_attribute(output, "a", t1_), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_output_set_item(output, "a", t1_), MO_STATUS_OK);
  EXPECT_EQ(Attribute(output, "a"), t1_);
}

TEST_F(Container, Rule36BlockedWhateverTheArguments) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", t0_}});
  mo_field *field = t3_;
  const mo_item item = {"loss", t1_};
  EXPECT_EQ(mo_output_delete_item(output, "loss"), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_delete_item(output, nullptr), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_pop(output, "nothing", &field), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_pop(output, nullptr, nullptr), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_set_default(output, "loss", nullptr), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_update(output, &item, 1), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_update(output, nullptr, 7), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_get(output, "loss"), t0_);
  EXPECT_EQ(field, t3_);
}

TEST_F(Container, Rule37WhatIsNotBlocked) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", t0_}, {"logits", t1_}, {"attentions", t2_}});
  const char *key = nullptr;
  mo_field *field = nullptr;
  ASSERT_EQ(mo_output_set_item(output, "extra", t3_), MO_STATUS_OK);
  ASSERT_EQ(mo_output_pop_last(output, &key, &field), MO_STATUS_OK);
  EXPECT_EQ(field, t3_);
  mo_field_release(field);
  ASSERT_EQ(mo_output_delete_attribute(output, "extra"), MO_STATUS_OK);
  EXPECT_STREQ(key, "extra") << "the key's text outlives the attribute";
  EXPECT_EQ(mo_output_delete_attribute(output, "extra"), MO_STATUS_ATTRIBUTE_ERROR);
  EXPECT_EQ(mo_output_attribute(output, "extra", &field), MO_STATUS_ATTRIBUTE_ERROR);
  ASSERT_EQ(mo_output_set_item(output, "extra", t0_), MO_STATUS_OK);
  EXPECT_EQ(Attribute(output, "extra"), t0_);

  ASSERT_EQ(mo_output_move_to_end(output, "loss", true), MO_STATUS_OK);
  EXPECT_EQ(Keys(output), "logits attentions extra loss");
  ASSERT_EQ(mo_output_move_to_end(output, "extra", false), MO_STATUS_OK);
  EXPECT_EQ(Keys(output), "extra logits attentions loss");
  ASSERT_EQ(mo_output_move_to_end(output, "extra", false), MO_STATUS_OK);
  EXPECT_EQ(mo_output_move_to_end(output, "hidden_states", true), MO_STATUS_KEY_ERROR);
  EXPECT_EQ(Keys(output), "extra logits attentions loss");

  const mo_item items[] = {{"hidden_states", t3_}, {"loss", nullptr}, {"more", t1_}};
  ASSERT_EQ(mo_output_merge(output, items, 3), MO_STATUS_OK);
  EXPECT_EQ(Keys(output), "extra logits attentions loss hidden_states more");
  EXPECT_EQ(Attribute(output, "loss"), nullptr);

  ASSERT_EQ(mo_output_clear(output), MO_STATUS_OK);
  EXPECT_EQ(mo_output_length(output), 0);
  EXPECT_EQ(shim_logits(output), t1_) << "clear leaves the attributes";
  EXPECT_EQ(mo_output_pop_last(output, &key, &field), MO_STATUS_KEY_ERROR);
  EXPECT_EQ(Keys(Copy(output)), "logits hidden_states attentions") << "rule 42: the class is called with the attributes";
}

TEST_F(Container, Rule37DeletedMembersShowTheClassDefault) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", t0_}, {"logits", t1_}});
  ASSERT_EQ(mo_output_delete_attribute(output, "loss"), MO_STATUS_OK);
  EXPECT_EQ(Attribute(output, "loss"), nullptr);
  EXPECT_EQ(mo_output_get(output, "loss"), t0_);
  EXPECT_EQ(mo_output_delete_attribute(output, "loss"), MO_STATUS_ATTRIBUTE_ERROR);
  mo_output *copy = Copy(output);
  EXPECT_EQ(Keys(copy), "logits loss");
  EXPECT_EQ(Attribute(copy, "loss"), t0_);
  ASSERT_EQ(mo_output_set_attribute(output, "loss", t2_), MO_STATUS_OK);
  EXPECT_EQ(mo_output_delete_attribute(output, "loss"), MO_STATUS_OK);
}

// ---- Equality, copying ---------------------------------------------------------------------------------------------

TEST_F(Container, Rule38And39Equality) {
  mo_output *a = Fields("CausalLMOutput", {{"loss", t0_}, {"hidden_states", Tuple({t1_, nullptr})}});
  mo_output *b = Fields("CausalLMOutput", {{"loss", t0_}, {"hidden_states", Tuple({t1_, nullptr})}});
  EXPECT_TRUE(mo_output_equal(a, b));
  ASSERT_EQ(mo_output_set_item(b, "extra", t2_), MO_STATUS_OK);
  EXPECT_TRUE(mo_output_equal(a, b)) << "extra keys are ignored";
  ASSERT_EQ(mo_output_set_attribute(b, "loss", nullptr), MO_STATUS_OK);
  EXPECT_FALSE(mo_output_equal(a, b)) << "attributes are compared, not keys";
  EXPECT_FALSE(mo_output_equal(Fields("CausalLMOutput", {{"loss", t0_}}), Fields("CausalLMOutput", {{"loss", t1_}})));
  EXPECT_FALSE(mo_output_equal(Fields("CausalLMOutput", {{"loss", t0_}}), Fields("MaskedLMOutput", {{"loss", t0_}})));
  mo_output *base = Fields("ModelOutput", {{"loss", t0_}, {"logits", t1_}});
  EXPECT_TRUE(mo_output_equal(base, Fields("ModelOutput", {{"loss", t0_}, {"logits", t1_}})));
  EXPECT_FALSE(mo_output_equal(base, Fields("ModelOutput", {{"logits", t1_}, {"loss", t0_}}))) << "order counts";
  EXPECT_TRUE(mo_output_equal(base, Fields("CausalLMOutput", {{"loss", t0_}, {"logits", t1_}})));
  EXPECT_FALSE(mo_output_equal(a, nullptr));
}

TEST_F(Container, Rule42CopyRebuilds) {
  mo_output *output = Fields("CausalLMOutput", {{"logits", t1_}});
  ASSERT_EQ(mo_output_set_item(output, "extra", t2_), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_attribute(output, "loss", t0_), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_attribute(output, "quiet", t3_), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_attribute(output, "logits", nullptr), MO_STATUS_OK);
  mo_output *copy = Copy(output);
  EXPECT_EQ(Keys(output), "logits extra loss");
  EXPECT_EQ(Keys(copy), "loss logits extra");
  EXPECT_EQ(Attribute(copy, "logits"), t1_) << "the old value comes back from the entry";
  EXPECT_EQ(Attribute(copy, "quiet"), t3_);
  mo_output *bare = Copy(Fields("ModelOutput", {{"b", t0_}, {"a", nullptr}}));
  EXPECT_EQ(Keys(bare), "b a");
}

TEST_F(Container, Rule44ReplaceRebuildsThroughTheConstructor) {
  mo_output *output = Fields("CausalLMOutput", {{"loss", t0_}, {"logits", t1_}});
  ASSERT_EQ(mo_output_set_item(output, "extra", t2_), MO_STATUS_OK);
  const mo_item changes[] = {{"loss", nullptr}, {"attentions", t3_}};
  mo_output *replaced = nullptr;
  ASSERT_EQ(mo_output_replace(output, changes, 2, &replaced), MO_STATUS_OK);
  Keep(replaced);
  EXPECT_EQ(Keys(replaced), "logits attentions");
  const mo_item unknown = {"extra", t0_};
  mo_output *none = nullptr;
  EXPECT_EQ(mo_output_replace(output, &unknown, 1, &none), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(none, nullptr);
}

TEST_F(Container, Rule46FrozenClasses) {
  mo_output *output = Fields("FlaxMaskedLMOutput", {{"logits", t0_}});
  EXPECT_EQ(mo_output_set_attribute(output, "logits", t1_), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_set_attribute(output, "other", t1_), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_delete_attribute(output, "logits"), MO_STATUS_BLOCKED);
  EXPECT_EQ(Attribute(output, "logits"), t0_);
  ASSERT_EQ(mo_output_set_item(output, "logits", t1_), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_item(output, "other", t2_), MO_STATUS_OK);
  EXPECT_EQ(Attribute(output, "logits"), t1_);
  EXPECT_EQ(Attribute(output, "other"), t2_);
  const mo_item change = {"attentions", t3_};
  mo_output *replaced = nullptr;
  ASSERT_EQ(mo_output_replace(output, &change, 1, &replaced), MO_STATUS_OK);
  Keep(replaced);
  EXPECT_EQ(Keys(replaced), "logits attentions");
  EXPECT_EQ(Keys(Copy(output)), "logits other");

  mo_output *none = nullptr;
  EXPECT_EQ(TryItems("FlaxMaskedLMOutput", {{"logits", t0_}}, &none), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryItems("FlaxMaskedLMOutput", {{nullptr, t0_}}, &none), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryItems("FlaxMaskedLMOutput", {}, &none), MO_STATUS_OK);
  Keep(none);
  none = nullptr;
  EXPECT_EQ(TryValues("FlaxMaskedLMOutput", {Tuple({t0_})}, &none), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(TryValues("FlaxMaskedLMOutput", {Dict({"logits"}, {t0_})}, &none), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_output_create_from_output(context_, Class("FlaxMaskedLMOutput"), output, &none), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(Keys(Values("FlaxMaskedLMOutput", {Tuple({t0_}), t1_})), "logits hidden_states");
  EXPECT_EQ(Keys(Values("FlaxMaskedLMOutput", {Integer(3)})), "logits");
}

}  // namespace
