"""The suite for endpoints: envelope, errors, batches; with a method that succeeds, results and params, too."""
