/* host/cli/generate_options.c - the options of `modelout generate`.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/generate.h"

static void print_help(void) {
  printf(
      "usage: modelout generate DIR --ids \"1,2;3,4\" [options]\n"
      "\n"
      "Loads the Hugging Face checkpoint folder DIR of a decoder or encoder-decoder model and generates from the prompts, "
      "token\n"
      "by token, on the device. The ids are shown as they come, one line per step and one column per prompt (a single prompt: "
      "in\n"
      "one line); then the whole sequences, and what the output holds.\n"
      "\n"
      "prompts\n"
      "  --ids ROWS            token ids, rows separated by ';', ids by ','; shorter rows are padded on the left (those of an\n"
      "                        encoder on the right)\n"
      "  --decoder-ids ROWS    what the decoder of an encoder-decoder model begins with; default: decoder_start_token_id\n"
      "\n"
      "Options that are unset take what generation_config.json says, or where there is none config.json.\n"
      "  --ignore-file-settings\n"
      "                        of those files take only the token ids\n"
      "\n"
      "how long (unset by the files too: 20 new tokens)\n"
      "  --max-new-tokens N, --min-new-tokens N\n"
      "  --eos-token-ids IDS   ids that end a row: \"2,7\"; \"none\": nothing ends one\n"
      "  --pad-token-id ID     what finished rows go on with\n"
      "\n"
      "how to choose (unset by the files too: the likeliest token)\n"
      "  --temperature T       draw from softmax(logits / T)\n"
      "  --top-k K, --top-p P, --min-p P\n"
      "                        of the K likeliest, of the likeliest that reach P together, of those with P times the best's\n"
      "                        probability\n"
      "  --no-sampling         draw nothing, whatever the files say of do_sample\n"
      "  --seed S              of the random numbers; default 0\n"
      "  --num-beams N         beam search\n"
      "  --num-return-sequences N, --length-penalty P, --early-stopping true|false|never\n"
      "                        of beam search; default 1, 1 and false\n"
      "\n"
      "what to compute and show\n"
      "  --output-scores, --output-logits, --output-attentions, --output-hidden-states\n"
      "                        optional fields, per new token; they stay on the device until they are read\n"
      "  --architecture NAME   GPT2LMHeadModel, ...: instead of what config.json says\n"
      "  --device D            auto (default), cpu, cuda or cuda:N\n"
      "  --dtype T             f32 (default), f16 or bf16: weights and activations\n"
      "  --no-graph            do not record and replay the step, where the device could\n"
      "  --save FILE           all fields as safetensors\n"
      "  --json                one JSON object at the end instead of text\n"
      "  --quiet               no text (errors still come)\n"
      "  --help                this text\n"
      "\n"
      "examples\n"
      "  modelout generate DIR --ids 464,3290,318 --max-new-tokens 20\n"
      "  modelout generate DIR --ids \"464,3290;40,588\" --temperature 0.8 --top-p 0.95 --seed 7\n"
      "  modelout generate DIR --ids 464,3290 --num-beams 4 --num-return-sequences 2 --output-scores --json\n");
}

enum {
  OPTION_IDS = 256,
  OPTION_DECODER_IDS,
  OPTION_MAX_NEW_TOKENS,
  OPTION_MIN_NEW_TOKENS,
  OPTION_EOS,
  OPTION_PAD,
  OPTION_TEMPERATURE,
  OPTION_TOP_K,
  OPTION_TOP_P,
  OPTION_MIN_P,
  OPTION_SEED,
  OPTION_BEAMS,
  OPTION_RETURNED,
  OPTION_PENALTY,
  OPTION_EARLY,
  OPTION_SCORES,
  OPTION_LOGITS,
  OPTION_ATTENTIONS,
  OPTION_HIDDEN_STATES,
  OPTION_ARCHITECTURE,
  OPTION_DEVICE,
  OPTION_DTYPE,
  OPTION_NO_GRAPH,
  OPTION_SAVE,
  OPTION_JSON,
  OPTION_IGNORE_FILES,
  OPTION_NO_SAMPLING,
};

static const struct option long_options[] = {{"ids", required_argument, NULL, OPTION_IDS},
                                             {"decoder-ids", required_argument, NULL, OPTION_DECODER_IDS},
                                             {"max-new-tokens", required_argument, NULL, OPTION_MAX_NEW_TOKENS},
                                             {"min-new-tokens", required_argument, NULL, OPTION_MIN_NEW_TOKENS},
                                             {"eos-token-ids", required_argument, NULL, OPTION_EOS},
                                             {"pad-token-id", required_argument, NULL, OPTION_PAD},
                                             {"temperature", required_argument, NULL, OPTION_TEMPERATURE},
                                             {"top-k", required_argument, NULL, OPTION_TOP_K},
                                             {"top-p", required_argument, NULL, OPTION_TOP_P},
                                             {"min-p", required_argument, NULL, OPTION_MIN_P},
                                             {"seed", required_argument, NULL, OPTION_SEED},
                                             {"num-beams", required_argument, NULL, OPTION_BEAMS},
                                             {"num-return-sequences", required_argument, NULL, OPTION_RETURNED},
                                             {"length-penalty", required_argument, NULL, OPTION_PENALTY},
                                             {"early-stopping", required_argument, NULL, OPTION_EARLY},
                                             {"output-scores", no_argument, NULL, OPTION_SCORES},
                                             {"output-logits", no_argument, NULL, OPTION_LOGITS},
                                             {"output-attentions", no_argument, NULL, OPTION_ATTENTIONS},
                                             {"output-hidden-states", no_argument, NULL, OPTION_HIDDEN_STATES},
                                             {"architecture", required_argument, NULL, OPTION_ARCHITECTURE},
                                             {"device", required_argument, NULL, OPTION_DEVICE},
                                             {"dtype", required_argument, NULL, OPTION_DTYPE},
                                             {"no-graph", no_argument, NULL, OPTION_NO_GRAPH},
                                             {"save", required_argument, NULL, OPTION_SAVE},
                                             {"json", no_argument, NULL, OPTION_JSON},
                                             {"ignore-file-settings", no_argument, NULL, OPTION_IGNORE_FILES},
                                             {"no-sampling", no_argument, NULL, OPTION_NO_SAMPLING},
                                             {"quiet", no_argument, NULL, 'q'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

static int take_integer(const char *name, int64_t least, int64_t *value) {
  if (cli_parse_int64(optarg, value) && *value >= least) return CLI_EXIT_OK;
  return cli_usage_error(GENERATE_COMMAND, "--%s %s: must be a whole number from %lld up", name, optarg, (long long)least);
}

static int take_real(const char *name, double least, double most, float *value) {
  double parsed = 0;
  const bool good = cli_parse_double(optarg, &parsed) && parsed >= least && parsed <= most;
  *value = (float)parsed;
  if (good) return CLI_EXIT_OK;
  return cli_usage_error(GENERATE_COMMAND, "--%s %s: must be a number from %g to %g", name, optarg, least, most);
}

static int take_ends(generate_options *options) {
  const char *end = NULL;
  options->ends.count = 0;
  options->generation.no_eos_token = strcmp(optarg, "none") == 0;
  if (options->generation.no_eos_token) return CLI_EXIT_OK;
  if (!cli_parse_numbers(optarg, '\0', &options->ends, &end) || *end != '\0' || options->ends.count == 0 ||
      options->ends.count > INT32_MAX)
    return cli_usage_error(GENERATE_COMMAND, "--eos-token-ids %s: must be numbers separated by commas, or none", optarg);
  return CLI_EXIT_OK;
}

static int take_early_stopping(mo_generation_options *generation) {
  generation->has_early_stopping = true;
  static const char *const names[] = {"false", "true", "never"}; /* in the order of the enumeration */
  for (int i = 0; i < 3; i++) {
    if (strcmp(optarg, names[i]) != 0) continue;
    generation->early_stopping = (mo_early_stopping_t)i;
    return CLI_EXIT_OK;
  }
  return cli_usage_error(GENERATE_COMMAND, "--early-stopping %s: must be true, false or never", optarg);
}

/* Options of how to choose; -1 for any other. */
static int take_choice(int option, generate_options *options) {
  mo_generation_options *generation = &options->generation;
  int64_t seed = 0;
  int exit_code = CLI_EXIT_OK;
  switch (option) {
    case OPTION_TEMPERATURE:
      return take_real("temperature", 0, 1e6, &generation->temperature);
    case OPTION_TOP_K:
      return take_integer("top-k", 0, &generation->top_k);
    case OPTION_TOP_P:
      return take_real("top-p", 0, 1, &generation->top_p);
    case OPTION_MIN_P:
      return take_real("min-p", 0, 1, &generation->min_p);
    case OPTION_SEED:
      exit_code = take_integer("seed", INT64_MIN, &seed);
      generation->seed = (uint64_t)seed;
      return exit_code;
    case OPTION_BEAMS:
      return take_integer("num-beams", 1, &generation->num_beams);
    case OPTION_RETURNED:
      return take_integer("num-return-sequences", 1, &generation->num_return_sequences);
    case OPTION_PENALTY:
      generation->has_length_penalty = true;
      return take_real("length-penalty", -1e6, 1e6, &generation->length_penalty);
    case OPTION_EARLY:
      return take_early_stopping(generation);
    default:
      return -1;
  }
}

/* One option's value; the exit code of a wrong one. */
static int take_option(int option, generate_options *options) {
  mo_generation_options *generation = &options->generation;
  switch (option) {
    case OPTION_IDS:
      options->ids = optarg;
      break;
    case OPTION_DECODER_IDS:
      options->decoder_ids = optarg;
      break;
    case OPTION_MAX_NEW_TOKENS:
      return take_integer("max-new-tokens", 1, &generation->max_new_tokens);
    case OPTION_MIN_NEW_TOKENS:
      return take_integer("min-new-tokens", 0, &generation->min_new_tokens);
    case OPTION_EOS:
      return take_ends(options);
    case OPTION_PAD:
      generation->has_pad_token = true;
      return take_integer("pad-token-id", 0, &generation->pad_token_id);
    case OPTION_SCORES:
      generation->output_scores = true;
      break;
    case OPTION_LOGITS:
      generation->output_logits = true;
      break;
    case OPTION_ATTENTIONS:
      options->request.output_attentions = true;
      break;
    case OPTION_HIDDEN_STATES:
      options->request.output_hidden_states = true;
      break;
    case OPTION_NO_GRAPH:
      generation->no_graph = true;
      break;
    case OPTION_SAVE:
      options->save_path = optarg;
      break;
    case OPTION_JSON:
      options->json = true;
      break;
    case OPTION_IGNORE_FILES:
      generation->ignore_file_settings = true;
      break;
    case OPTION_NO_SAMPLING:
      generation->no_sampling = true;
      break;
    case 'q':
      options->quiet = true;
      break;
    case OPTION_ARCHITECTURE:
      options->architecture = optarg;
      break;
    case OPTION_DEVICE:
      return cli_take_device(GENERATE_COMMAND, optarg, &options->context);
    case OPTION_DTYPE:
      return cli_take_dtype(GENERATE_COMMAND, optarg, &options->dtype);
    default:
      return take_choice(option, options);
  }
  return CLI_EXIT_OK;
}

/* Rules that hold between options. */
static int check_options(int argc, char **argv, generate_options *options) {
  const mo_generation_options *generation = &options->generation;
  const bool beams = generation->num_beams > 1;
  const int exit_code = cli_take_directory(GENERATE_COMMAND, argc, argv, &options->directory);
  if (exit_code != CLI_EXIT_OK) return exit_code;
  if (options->ids == NULL) return cli_usage_error(GENERATE_COMMAND, "nothing to go on from: give --ids");
  if (generation->temperature == 0 && (generation->top_k > 0 || generation->top_p > 0 || generation->min_p > 0))
    return cli_usage_error(GENERATE_COMMAND, "--top-k, --top-p and --min-p restrict what is drawn: give --temperature too");
  if (beams && generation->temperature > 0)
    return cli_usage_error(GENERATE_COMMAND, "--num-beams and --temperature exclude each other");
  if (generation->no_sampling && generation->temperature > 0)
    return cli_usage_error(GENERATE_COMMAND, "--no-sampling and --temperature exclude each other");
  const bool returns_more = generation->num_return_sequences > 1 && generation->temperature == 0;
  if (!beams && (returns_more || generation->has_length_penalty || generation->early_stopping != 0))
    return cli_usage_error(
        GENERATE_COMMAND,
        "--num-return-sequences, --length-penalty and --early-stopping belong to --num-beams (the first also to "
        "--temperature)");
  return CLI_EXIT_OK;
}

bool generate_options_parse(int argc, char **argv, generate_options *options, int *exit_code) {
  *options = (generate_options){
      .context = MO_CONTEXT_OPTIONS_INIT, .generation = MO_GENERATION_OPTIONS_INIT, .request = MO_REQUEST_INIT};
  for (int option; (option = getopt_long(argc, argv, ":hq", long_options, NULL)) != -1;) {
    if (option == 'h') {
      print_help();
      *exit_code = CLI_EXIT_OK;
      return false;
    }
    *exit_code =
        option == '?' || option == ':' ? cli_option_error(GENERATE_COMMAND, option, argv) : take_option(option, options);
    if (*exit_code != CLI_EXIT_OK) return false;
  }
  *exit_code = check_options(argc, argv, options);
  options->generation.request = &options->request;
  options->generation.eos_token_ids = options->ends.values;
  options->generation.eos_token_count = (int32_t)options->ends.count;
  return *exit_code == CLI_EXIT_OK;
}

void generate_options_release(generate_options *options) { free(options->ends.values); }
