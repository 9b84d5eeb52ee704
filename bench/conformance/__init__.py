"""Whether a method keeps the contract: builds, steps, resumes, samples, pickles."""
