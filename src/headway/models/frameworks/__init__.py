"""How the models of each framework are saved, loaded and run."""
