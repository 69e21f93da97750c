/** The fields of a Hugging Face `config.json` that decide how many parameters a llama-shaped model has. */
export interface LlamaShape {
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim?: number;
  tie_word_embeddings?: boolean;
}

/**
 * Parameters of a llama-shaped model: the embedding, the head unless it is tied, and for each layer
 * q, k, v, o (no biases), gate, up, down and two norms; one last norm.
 */
export function llamaParameters(shape: LlamaShape, vocabSize: number): number {
  const h = shape.hidden_size;
  const headDim = shape.head_dim ?? h / shape.num_attention_heads;
  const query = h * shape.num_attention_heads * headDim;
  const keyValue = h * shape.num_key_value_heads * headDim;
  const layer = 2 * query + 2 * keyValue + 3 * h * shape.intermediate_size + 2 * h;
  const embedding = vocabSize * h;
  return embedding * (shape.tie_word_embeddings === true ? 1 : 2) + shape.num_hidden_layers * layer + h;
}

/** Training tokens a parameter at which a given amount of compute is spent best: Hoffmann et al. 2022, arXiv:2203.15556. */
export const CHINCHILLA_TOKENS_PER_PARAMETER = 20;

/** Tokens a parameter that a run sees of a dataset in so many epochs, and which part of Chinchilla's optimum that is. */
export function chinchilla(tokens: number, parameters: number, epochs = 1): { ratio: number; part: number } {
  const ratio = (tokens * epochs) / parameters;
  return { ratio, part: ratio / CHINCHILLA_TOKENS_PER_PARAMETER };
}
