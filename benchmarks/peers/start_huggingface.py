"""What a user of Hugging Face writes to get one answer at the shell prompt.

python start_huggingface.py MODEL_FOLDER TEXT
"""

import sys

import torch
from transformers import AutoTokenizer, BertForSequenceClassification

folder, text = sys.argv[1:]
model = BertForSequenceClassification.from_pretrained(folder).eval()
inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
with torch.inference_mode():
    probabilities = model(**inputs).logits.softmax(-1)[0]
best = int(probabilities.argmax())
print(f"{model.config.id2label[best]} {probabilities[best]:.4f}\t{text}")
