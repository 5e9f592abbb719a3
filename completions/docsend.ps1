# PowerShell completion for docsend; docsend itself knows what can stand where. Dot-source it in your $PROFILE.
# What `docsend _complete` prints: VALUE<Tab>LABEL lines, and `!files EXTENSIONS` where files are meant.

Register-ArgumentCompleter -Native -CommandName docsend -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString().Trim("'`"") })
    # An empty word would be lost on the way to a native program; a quoted one arrives.
    $current = if ($wordToComplete) { $wordToComplete } else { '""' }
    foreach ($line in @(docsend _complete @words $current 2>$null)) {
        if ($line -like '!files*') {
            $extensions = $line.Substring(6).Trim() -split ',' | Where-Object { $_ } | ForEach-Object { ".$_" }
            Get-ChildItem -Path "$wordToComplete*" -ErrorAction SilentlyContinue |
                Where-Object { $_.PSIsContainer -or -not $extensions -or $extensions -contains $_.Extension } |
                ForEach-Object {
                    $path = Resolve-Path -LiteralPath $_.FullName -Relative
                    [System.Management.Automation.CompletionResult]::new($path, $_.Name, 'ProviderItem', $_.Name)
                }
            continue
        }
        $value, $label = $line -split "`t", 2
        if (-not $label) { $label = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $label)
    }
}
