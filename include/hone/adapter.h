/* Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685): a model stays as it is, and beside each of its products with a
 * matrix W goes a smaller one,
 *
 *      y = x W + alpha/rank · x Aᵀ Bᵀ        A [rank, in], B [out, rank]
 *
 * A and B are constants NAME.lora_A.weight and NAME.lora_B.weight of the graph, NAME being that of the matrix without ".weight".
 * hone_train() with lora_rank and lora_apart makes and trains them. */
#ifndef HONE_ADAPTER_H
#define HONE_ADAPTER_H

#include <hone/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the adapter of a graph into a directory, as Hugging Face's peft has it: adapter_model.safetensors, float32, and
 * adapter_config.json, which comes last; the directory is made if it is not there. `base` (may be NULL) is noted as the model
 * that it is for. HONE_INVALID_ARGUMENT: the graph has none. */
HONE_API hone_status hone_adapter_save(const hone_graph *g, const char *directory, const char *base,
                                       hone_error *err);
/* Puts an adapter of such a directory into the graph of the model that it is for; its numbers are float32, float16 or
 * bfloat16. HONE_NOT_FOUND: it has a matrix for a product that the model has not; HONE_UNSUPPORTED: it is of another kind
 * (DoRA, of embeddings, with whole modules or biases); the error names the tensor. The graph is of no use after a failure. */
HONE_API hone_status hone_adapter_load(hone_graph *g, const char *directory, hone_error *err);
/* Adds alpha/rank · B A to the matrices that are float32 constants, and takes their branches away. Those beside weights of few
 * bits stay, `*left` (may be NULL) of them: nothing is rounded again. */
HONE_API hone_status hone_adapter_merge(hone_graph *g, int *left, hone_error *err);
/* Branches that the graph has. */
HONE_API int hone_adapter_count(const hone_graph *g);

#ifdef __cplusplus
}
#endif
#endif
