# PowerShell completion for docsend; `docsend _complete` computes the candidates. Dot-source it in your $PROFILE.
# `docsend _complete` prints VALUE<Tab>LABEL lines, or `!files EXTENSIONS` where a file is expected.

Register-ArgumentCompleter -Native -CommandName docsend -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString().Trim("'`"") })
    # PowerShell drops empty arguments of native programs, so pass a quoted one.
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
