"""The dialect of flagd: JSON definitions whose targeting is JsonLogic, with flagd's own operators."""
