/* The inputs of a model from files. */
#ifndef HONE_CLI_INPUTS_H
#define HONE_CLI_INPUTS_H

#include "options.h"

#define OPT_INPUTS(field, text)                                                                              \
    OPT_LIST("input", "NAME=@FILE", field,                                                                   \
             text                                                                                            \
             ": .npy; .npz (the array of that name; for a sequence all of them); .pb (ONNX's TensorProto, "  \
             "SequenceProto, …). Also '{\"NAME\": \"FILE\", …}', or @MAP.json with that in it")

/* Tensors for the inputs that `texts` name, at their places of `inputs` (one for each of the graph's, NULL where none
 * is named); the caller frees them, on failure, too. Numbers of another dtype become the input's, with a note on
 * stderr, where that loses nothing in kind. What is named and an initializer gets the content. Gives CLI_OK, or what the
 * command ends with after saying what is wrong. */
int cli_inputs_load(const cli_list *texts, const char *model, hone_graph *g, hone_tensor **inputs);

#endif
