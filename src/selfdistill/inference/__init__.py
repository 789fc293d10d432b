"""What a trained network is good for: pictures of one's own, and a folder to hand on."""
