"""How the chain did on phantoms: figures held against what is asked."""
