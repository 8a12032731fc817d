"""What the paper printed: Table 1 of Conneau et al. (2020), "Emerging Cross-lingual Structure in
Pretrained Language Models", ACL 2020, pages 6022-6034.

Zero-shot from English. One pretrained model a cell; each number is the mean of the best two
settings of fine-tuning on English development data. What the paper plots is not printed in
numbers, so no value of its figures stands here.
"""

SOURCE = "Conneau et al. 2020, Table 1"
LANGUAGES = ("fr", "ru", "zh")
TASKS = {"nli": "accuracy", "ner": "f1", "parsing": "las"}  # task -> metric, as in records

# Percent: XNLI of fr, ru, zh; NER; LAS.
TABLE1 = {
    "default": ((73.6, 68.7, 68.3), (79.8, 60.9, 63.6), (73.2, 56.6, 28.8)),
    "wiki_cc": ((74.2, 65.8, 66.5), (74.0, 49.6, 61.9), (71.3, 54.8, 25.2)),
    "no_anchors": ((72.1, 67.5, 67.7), (74.0, 57.9, 65.0), (72.3, 56.2, 27.4)),
    "default_anchors": ((74.0, 68.1, 68.9), (76.8, 56.3, 61.2), (73.0, 57.0, 28.3)),
    "extra_anchors": ((74.0, 69.8, 72.1), (76.1, 59.7, 66.8), (73.3, 56.9, 29.2)),
    "sep_emb": ((72.7, 63.6, 60.8), (75.5, 57.5, 59.0), (71.7, 54.0, 27.5)),
    "sep_l1_3": ((72.4, 65.0, 63.1), (74.0, 53.3, 60.8), (69.7, 54.1, 26.4)),
    "sep_l1_6": ((61.9, 43.6, 37.4), (61.2, 23.7, 3.1), (61.7, 31.6, 12.0)),
    "sep_emb_l1_3": ((69.2, 61.7, 56.4), (73.8, 46.8, 53.5), (68.2, 53.6, 23.9)),
    "sep_emb_l1_6": ((51.6, 35.8, 34.4), (56.5, 5.4, 1.0), (50.9, 6.4, 1.5)),
}
TITLES = {
    "default": "Default",
    "wiki_cc": "Wiki-CC",
    "no_anchors": "No anchors",
    "default_anchors": "Default anchors",
    "extra_anchors": "Extra anchors",
    "sep_emb": "Sep Emb",
    "sep_l1_3": "Sep L1-3",
    "sep_l1_6": "Sep L1-6",
    "sep_emb_l1_3": "Sep Emb + L1-3",
    "sep_emb_l1_6": "Sep Emb + L1-6",
}
