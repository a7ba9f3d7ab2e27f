"""What a plugin's author needs: the conformance kit, a reference simulator and circuit generators."""
