"""Trains a forest of 100 trees on iris and saves it: python train.py"""

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import headway

x, y = load_iris(return_X_y=True)
forest = RandomForestClassifier(n_estimators=100, random_state=1).fit(x, y)
model = headway.sklearn.save_model(
    "iris_forest", forest, signatures={"predict": {"batchable": True}}
)
print(f"saved {model.tag}")
