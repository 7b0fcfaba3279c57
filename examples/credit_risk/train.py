"""Trains the credit risk model and saves it: python train.py"""

import xgboost
from applications import read_applications
from sklearn.feature_extraction import DictVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import headway

applications, is_bad = read_applications()
train, validation, y_train, y_validation = train_test_split(
    applications, is_bad, test_size=0.2, random_state=1, stratify=is_bad
)

dv = DictVectorizer(sparse=False)
x_train = dv.fit_transform(train)
x_validation = dv.transform(validation)

booster = xgboost.train(
    {
        "objective": "binary:logistic",
        "eta": 0.1,
        "max_depth": 3,
        "min_child_weight": 1,
        "seed": 1,
    },
    xgboost.DMatrix(x_train, y_train),
    num_boost_round=175,
)
auc = roc_auc_score(y_validation, booster.predict(xgboost.DMatrix(x_validation)))
print(f"AUC on {len(validation)} applications kept from training: {auc:.3f}")

model = headway.xgboost.save_model(
    "credit_risk_model",
    booster,
    signatures={"predict": {"batchable": True, "batch_dim": 0}},
    custom_objects={"dictVectorizer": dv},
    metadata={"auc": round(float(auc), 4)},
)
print(f"saved {model.tag}")
