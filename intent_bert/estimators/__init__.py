"""scikit-learn's side: classifier, features, baselines and their comparison."""
